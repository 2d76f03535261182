create or replace function postroad.json_problems(
  schema  jsonb,
  value   jsonb,
  pointer text default '#'
)
returns jsonb
language plpgsql
stable
as $$
declare
  kind constant text := jsonb_typeof(value);
  kinds constant jsonb := case jsonb_typeof(schema -> 'type') when 'string' then jsonb_build_array(schema -> 'type') else schema -> 'type' end;
  content constant text := case when kind = 'string' then value #>> '{}' end;
  size integer;
  wrong text;
  problems jsonb := '[]';
  name text;
  item jsonb;
  place text;
begin
  if kinds is not null and not (kinds ? kind or kind = 'number' and kinds ? 'integer' and value::numeric = trunc(value::numeric)) then
    wrong := 'must be ' || (select string_agg(case k.kind
      when 'integer' then 'a whole number' when 'number' then 'a number' when 'string' then 'a string' when 'boolean' then 'true or false'
      when 'array' then 'an array' when 'object' then 'an object' else k.kind end, ' or ' order by k.nth)
      from jsonb_array_elements_text(kinds) with ordinality as k (kind, nth));
  elsif schema ? 'enum' and not schema -> 'enum' @> jsonb_build_array(value) then
    wrong := 'must be one of ' || (select string_agg(coalesce(e.known, 'null'), ', ') from jsonb_array_elements_text(schema -> 'enum') as e (known));
  elsif kind = 'string' then
    wrong := case
      when length(content) < (schema ->> 'minLength')::integer then format('must have %s characters or more', schema ->> 'minLength')
      when length(content) > (schema ->> 'maxLength')::integer then format('must have %s characters or fewer', schema ->> 'maxLength')
      when content !~ (schema ->> 'pattern') then format('must match %s', schema ->> 'pattern')
      when schema ->> 'format' = 'uuid' and content !~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then 'must be a UUID'
      when schema ->> 'format' = 'date-time' and postroad.read_date_time(content) is null then 'must be a date and time as 2026-01-31T12:00:00Z (RFC 3339)'
    end;
  elsif kind = 'number' then
    wrong := case
      when value::numeric < (schema ->> 'minimum')::numeric then format('must be %s or more', schema ->> 'minimum')
      when value::numeric > (schema ->> 'maximum')::numeric then format('must be %s or less', schema ->> 'maximum')
    end;
  elsif kind = 'array' then
    size := jsonb_array_length(value);
    wrong := case
      when size < (schema ->> 'minItems')::integer then format('must have %s items or more', schema ->> 'minItems')
      when size > (schema ->> 'maxItems')::integer then format('must have %s items or fewer', schema ->> 'maxItems')
    end;
    if wrong is null and schema ? 'items' and not schema ? 'x-checked-in-bulk' then
      for item, size in select e.item, e.nth - 1 from jsonb_array_elements(value) with ordinality as e (item, nth) loop
        problems := problems || postroad.json_problems(schema -> 'items', item, pointer || '/' || size);
        exit when jsonb_array_length(problems) >= 10;
      end loop;
    end if;
  elsif kind = 'object' then
    for name in select r.name from jsonb_array_elements_text(schema -> 'required') as r (name) where not value ? r.name loop
      place := pointer || '/' || replace(replace(name, '~', '~0'), '/', '~1');
      problems := problems || jsonb_build_array(jsonb_build_object('pointer', place, 'detail', 'is missing'));
    end loop;
    for name, item in select e.key, e.value from jsonb_each(value) as e loop
      exit when jsonb_array_length(problems) >= 10;
      place := pointer || '/' || replace(replace(left(name, 100), '~', '~0'), '/', '~1');
      if schema -> 'properties' ? name then
        problems := problems || postroad.json_problems(schema -> 'properties' -> name, item, place);
      elsif schema -> 'additionalProperties' = 'false' then
        problems := problems || jsonb_build_array(jsonb_build_object('pointer', place, 'detail', 'is not known here'));
      elsif jsonb_typeof(schema -> 'additionalProperties') = 'object' then
        problems := problems || postroad.json_problems(schema -> 'additionalProperties', item, place);
      end if;
    end loop;
  end if;
  if wrong is not null then
    return jsonb_build_array(jsonb_build_object('pointer', pointer, 'detail', wrong));
  end if;
  return problems;
end;
$$;

comment on function postroad.json_problems is
$$What is wrong with a value by its JSON Schema: an array of {"pointer", "detail"}, empty when nothing is; it stops at some ten. Knows type, enum, minLength, maxLength, pattern,
format (uuid, date-time), minimum, maximum, minItems, maxItems, items, required, properties and additionalProperties: what api_routes uses. Items of an array
that says x-checked-in-bulk are the caller's to check.$$;

create or replace function postroad.read_date_time(content text)
returns timestamptz
language plpgsql
immutable strict
as $$
declare
  parts text[];
begin
  parts := regexp_match(content, '^([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?)(?:Z|([+-])([0-9]{2}:[0-9]{2}))$', 'i');
  if parts is null or parts[4] > '23:59' then
    return null;
  end if;
  -- A cast would know offsets of up to 16 hours alone.
  return ((parts[1] || ' ' || parts[2])::timestamp - coalesce(parts[3] || parts[4], '0')::interval) at time zone 'UTC';
exception
  when others then                               -- the thirteenth month
    return null;
end;
$$;

comment on function postroad.read_date_time is 'A date and time of RFC 3339 (section 5.6), or null when it is none.';
