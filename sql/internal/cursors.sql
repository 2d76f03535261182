create or replace function postroad.write_cursor(id uuid)
returns text
language sql
immutable
as $$
  select translate(encode(uuid_send(id), 'base64'), '+/=', '-_')
$$;

comment on function postroad.write_cursor is 'A place in a list of messages, as callers hand it back: base64url.';

create or replace function postroad.read_cursor(cursor text)
returns uuid
language sql
immutable
as $$
  select case
    when cursor ~ '^[A-Za-z0-9_-]{21}[AQgw]$' then encode(decode(translate(cursor, '-_', '+/') || '==', 'base64'), 'hex')::uuid
  end
$$;

comment on function postroad.read_cursor is 'What write_cursor wrote, or null.';

create or replace function postroad.write_place(place jsonb)
returns text
language sql
immutable
as $$
  select translate(encode(convert_to(place::text, 'UTF8'), 'base64'), E'+/=\n', '-_')
$$;

comment on function postroad.write_place is 'A place in a list, as callers hand it back: base64url of a JSON array.';

create or replace function postroad.read_place(cursor text)
returns jsonb
language plpgsql
immutable
as $$
declare
  place jsonb;
begin
  place := convert_from(decode(translate(cursor, '-_', '+/') || repeat('=', (4 - length(cursor) % 4) % 4), 'base64'), 'UTF8')::jsonb;
  if jsonb_array_length(place) = 3 and jsonb_typeof(place -> 0) = 'string' and jsonb_typeof(place -> 1) = 'string' and (place ->> 2)::bigint is not null then
    return place;
  end if;
  return null;
exception
  when others then                               -- somebody made it up
    return null;
end;
$$;

comment on function postroad.read_place is 'What write_place wrote, or null.';
