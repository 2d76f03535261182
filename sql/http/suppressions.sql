create or replace function postroad.http_suppressions(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  p constant jsonb := call -> 'parameters';
  page_size integer;
  place jsonb;
  entries postroad.suppression_list[];
  items jsonb;
  last_item jsonb;
begin
  body := postroad.request_problem('GET', '/suppressions', call);
  if body is null and p ? 'cursor' then
    place := postroad.read_place(p ->> 'cursor');
    if place is null then
      body := postroad.problem(422, 'invalid_cursor', 'The cursor is none of ours.', '[{"parameter": "cursor", "detail": "is none of ours"}]');
    end if;
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  page_size := coalesce((p ->> 'limit')::integer, 50);
  if p ? 'address' then
    entries := array(
      select s
      from postroad.suppression_list as s
      where s.address = any (array[lower(p ->> 'address'), p ->> 'address'])
        and (place is null or (s.address, coalesce(s.channel, '~'), coalesce(s.tenant_id, 9223372036854775807)) > (place ->> 0, place ->> 1, (place ->> 2)::bigint))
      order by s.address, s.channel, s.tenant_id
      limit page_size
    );
  else                                           -- from an address on, along the index; the few rows of that address that were shown are passed over
    entries := array(
      select s
      from postroad.suppression_list as s
      where s.address >= coalesce(place ->> 0, '')
        and (place is null or (s.address, coalesce(s.channel, '~'), coalesce(s.tenant_id, 9223372036854775807)) > (place ->> 0, place ->> 1, (place ->> 2)::bigint))
      order by s.address, s.channel, s.tenant_id -- nulls last, as the index is
      limit page_size
    );
  end if;
  select coalesce(jsonb_agg(to_jsonb(x)), '[]') into items
  from (
    select s.address, s.channel, s.tenant_id, s.reason, s.source, s.created_at, nullif(s.expires_at, 'infinity') as expires_at
    from unnest(entries) as s
  ) as x;
  status := 200;
  if jsonb_array_length(items) = page_size then
    last_item := items -> -1;
    body := jsonb_build_object('suppressions', items, 'next_cursor', postroad.write_place(jsonb_build_array(last_item ->> 'address',
      coalesce(last_item ->> 'channel', '~'), coalesce((last_item ->> 'tenant_id')::bigint, 9223372036854775807))));
  else
    body := jsonb_build_object('suppressions', items, 'next_cursor', null);
  end if;
end;
$$;

comment on function postroad.http_suppressions is 'GET /suppressions, by address.';

revoke all on function postroad.http_suppressions from public;
grant execute on function postroad.http_suppressions to postroad_http;

create or replace function postroad.http_suppress(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  b constant jsonb := call -> 'body';
  bound constant bigint := call -> 'caller' ->> 'tenant_id';
  changed boolean;
begin
  body := postroad.request_problem('POST', '/suppressions', call);
  if body is null and bound <> (b ->> 'tenant_id')::numeric then
    body := postroad.problem(403, 'forbidden', 'The caller is bound to another tenant.', postroad.error_at('#/tenant_id', 'is another tenant'));
  elsif body is null and not postroad.is_suppressible(b ->> 'channel', b ->> 'address') then
    body := postroad.problem(422, 'invalid_address', 'The channel knows no such address.', postroad.error_at('#/address', 'is no address of the channel'));
  elsif body is null and btrim(b ->> 'reason') = '' then
    body := postroad.problem(422, 'invalid_reason', 'A suppression needs a reason.', postroad.error_at('#/reason', 'must not be blank'));
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  changed := postroad.suppress(
    channel => b ->> 'channel',
    address => b ->> 'address',
    reason => coalesce(b ->> 'reason', 'manual'),
    tenant_id => coalesce(bound, (b ->> 'tenant_id')::numeric::bigint),
    expires_at => postroad.read_date_time(b ->> 'expires_at'));
  status := 200;
  body := jsonb_build_object('changed', changed);
end;
$$;

comment on function postroad.http_suppress is 'POST /suppressions: postroad.suppress.';

revoke all on function postroad.http_suppress from public;
grant execute on function postroad.http_suppress to postroad_http;

create or replace function postroad.http_unsuppress(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  p constant jsonb := call -> 'parameters';
  bound constant bigint := call -> 'caller' ->> 'tenant_id';
begin
  body := postroad.request_problem('DELETE', '/suppressions/{address}', call);
  if body is null and bound <> (p ->> 'tenant_id')::bigint then
    body := postroad.problem(403, 'forbidden', 'The caller is bound to another tenant.', '[{"parameter": "tenant_id", "detail": "is another tenant"}]');
  elsif body is null and not (postroad.is_suppressible(p ->> 'channel', p ->> 'address')
      and postroad.unsuppress(p ->> 'channel', p ->> 'address', coalesce(bound, (p ->> 'tenant_id')::bigint))) then
    body := postroad.problem(404, 'not_found', 'The list has no such entry, for exactly this channel and tenant.');
  end if;
  status := coalesce((body ->> 'status')::smallint, 200);
  body := coalesce(body, '{"changed": true}');
end;
$$;

comment on function postroad.http_unsuppress is 'DELETE /suppressions/{address}: postroad.unsuppress.';

revoke all on function postroad.http_unsuppress from public;
grant execute on function postroad.http_unsuppress to postroad_http;

select postroad.put_route('GET', '/suppressions', 'http_suppressions', '{reader,admin}', 'The suppression list, by address',
  cost => 2,
  parameters => '{
    "address": {"in": "query", "schema": {"type": "string", "minLength": 1, "maxLength": 2048}},
    "limit": {"in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}},
    "cursor": {"in": "query", "schema": {"type": "string", "maxLength": 4096}, "description": "next_cursor of the page before."}
  }',
  response => '{"type": "object", "required": ["suppressions"], "properties": {
    "suppressions": {"type": "array", "items": {
      "type": "object",
      "required": ["address", "reason", "created_at"],
      "properties": {
        "address": {"type": "string"},
        "channel": {"type": ["string", "null"], "description": "Null: every channel."},
        "tenant_id": {"type": ["integer", "null"], "description": "Null: every tenant."},
        "reason": {"type": "string"},
        "source": {"type": ["string", "null"]},
        "created_at": {"type": "string", "format": "date-time"},
        "expires_at": {"type": ["string", "null"], "format": "date-time"}
      }
    }},
    "next_cursor": {"type": ["string", "null"]}
  }}');

select postroad.put_route('POST', '/suppressions', 'http_suppress', '{admin}', 'Send no more to an address',
  request => '{
    "type": "object",
    "additionalProperties": false,
    "required": ["address"],
    "properties": {
      "address": {"type": "string", "minLength": 1, "maxLength": 2048},
      "channel": {"type": ["string", "null"], "enum": ["email", "sms", "push", "voice", "in_app", "webhook", null], "description": "Null: every channel."},
      "tenant_id": {"type": ["integer", "null"], "minimum": -9223372036854775808, "maximum": 9223372036854775807, "description": "Null: every tenant; the caller''s, when it is bound to one."},
      "reason": {"type": "string", "minLength": 1, "maxLength": 200, "default": "manual"},
      "expires_at": {"type": ["string", "null"], "format": "date-time"}
    }
  }',
  response => '{"type": "object", "required": ["changed"], "properties": {"changed": {"type": "boolean", "description": "False: it was on the list, for as long."}}}');

select postroad.put_route('DELETE', '/suppressions/{address}', 'http_unsuppress', '{admin}', 'Take an address off the suppression list',
  parameters => '{
    "address": {"in": "path", "required": true, "schema": {"type": "string", "minLength": 1, "maxLength": 2048}},
    "channel": {"in": "query", "schema": {"type": "string", "enum": ["email", "sms", "push", "voice", "in_app", "webhook"]}, "description": "Without it the entry for every channel."},
    "tenant_id": {"in": "query", "schema": {"type": "integer", "minimum": -999999999999999999, "maximum": 999999999999999999}}
  }',
  response => '{"type": "object", "required": ["changed"], "properties": {"changed": {"type": "boolean"}}}');
