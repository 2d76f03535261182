create or replace function postroad.http_keys(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  body := postroad.request_problem('GET', '/keys', call);
  if body is not null then
    status := 400;
    return;
  end if;
  status := 200;
  body := jsonb_build_object('keys', (select coalesce(jsonb_agg(to_jsonb(k)), '[]') from postroad.list_api_keys() as k));
end;
$$;

comment on function postroad.http_keys is 'GET /keys: postroad.list_api_keys.';

revoke all on function postroad.http_keys from public;
grant execute on function postroad.http_keys to postroad_http;

create or replace function postroad.http_create_key(
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
  expires constant timestamptz := postroad.read_date_time(b ->> 'expires_at');
  -- What a bound caller may give at most: what it has.
  own_limit integer;
  own_expiry timestamptz;
  most integer;
  made record;
begin
  body := postroad.request_problem('POST', '/keys', call);
  if body is null and bound is not null then
    select k.requests_per_second, k.expires_at into own_limit, own_expiry
    from postroad.api_keys as k
    where 'key:' || k.key_id = call -> 'caller' ->> 'id';          -- a token has no key: what it makes may outlive it
    most := coalesce(own_limit, (call -> 'caller' ->> 'requests_per_second')::integer);
  end if;
  if body is null and bound <> (b ->> 'tenant_id')::numeric then
    body := postroad.problem(403, 'forbidden', 'The caller is bound to another tenant.', postroad.error_at('#/tenant_id', 'is another tenant'));
  elsif body is null and btrim(b ->> 'name') = '' then
    body := postroad.problem(422, 'invalid_name', 'A key needs a name.', postroad.error_at('#/name', 'must not be blank'));
  elsif body is null and expires <= clock_timestamp() then
    body := postroad.problem(422, 'already_expired', 'The key would have expired already.', postroad.error_at('#/expires_at', 'is in the past'));
  elsif body is null and expires > own_expiry then
    body := postroad.problem(422, 'beyond_own', 'The caller''s own key expires before that.', postroad.error_at('#/expires_at', 'is after the caller''s own key expires'));
  elsif body is null and (b ->> 'requests_per_second')::numeric > most then
    body := postroad.problem(422, 'beyond_own', 'The caller itself may ask ' || most || ' a second.', postroad.error_at('#/requests_per_second', 'must be at most ' || most));
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  select k.key_id, k.key into made
  from postroad.create_api_key(
    name => b ->> 'name',
    roles => array(select jsonb_array_elements_text(b -> 'roles')),
    tenant_id => coalesce(bound, (b ->> 'tenant_id')::numeric::bigint),
    expires_at => coalesce(expires, own_expiry),
    requests_per_second => coalesce((b ->> 'requests_per_second')::numeric::integer, own_limit)) as k;
  status := 201;
  body := jsonb_build_object('key_id', made.key_id, 'key', made.key);
end;
$$;

comment on function postroad.http_create_key is
$$POST /keys: postroad.create_api_key. A caller that is bound to a tenant makes keys of that tenant, which may ask no more than it, and expire no later than its own key;
what is not said is as the caller's own.$$;

revoke all on function postroad.http_create_key from public;
grant execute on function postroad.http_create_key to postroad_http;

create or replace function postroad.http_revoke_key(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  body := postroad.request_problem('DELETE', '/keys/{key_id}', call);
  if body is null and not postroad.revoke_api_key((call -> 'parameters' ->> 'key_id')::bigint) then
    body := postroad.problem(404, 'not_found', 'There is no such key, or it was revoked before.');
  end if;
  status := coalesce((body ->> 'status')::smallint, 200);
  body := coalesce(body, '{"changed": true}');
end;
$$;

comment on function postroad.http_revoke_key is 'DELETE /keys/{key_id}: postroad.revoke_api_key.';

revoke all on function postroad.http_revoke_key from public;
grant execute on function postroad.http_revoke_key to postroad_http;

select postroad.put_route('GET', '/keys', 'http_keys', '{admin}', 'The API keys, without what they are',
  response => '{"type": "object", "required": ["keys"], "properties": {"keys": {"type": "array", "items": {
    "type": "object",
    "required": ["key_id", "prefix", "name", "roles", "state", "created_at", "created_by"],
    "properties": {
      "key_id": {"type": "integer"},
      "prefix": {"type": "string"},
      "name": {"type": "string"},
      "roles": {"type": "array", "items": {"type": "string"}},
      "tenant_id": {"type": ["integer", "null"]},
      "state": {"type": "string", "enum": ["active", "expired", "revoked"]},
      "created_at": {"type": "string", "format": "date-time"},
      "created_by": {"type": "string"},
      "expires_at": {"type": ["string", "null"], "format": "date-time"},
      "last_used_at": {"type": ["string", "null"], "format": "date-time"},
      "revoked_at": {"type": ["string", "null"], "format": "date-time"},
      "requests_per_second": {"type": ["integer", "null"]}
    }}}}}');

select postroad.put_route('POST', '/keys', 'http_create_key', '{admin}', 'Make an API key',
  success => 201,
  request => '{
    "type": "object",
    "additionalProperties": false,
    "required": ["name", "roles"],
    "properties": {
      "name": {"type": "string", "minLength": 1, "maxLength": 100},
      "roles": {"type": "array", "minItems": 1, "maxItems": 4, "items": {"type": "string", "enum": ["sender", "reader", "admin", "webhook"]}},
      "tenant_id": {"type": ["integer", "null"], "minimum": -9223372036854775808, "maximum": 9223372036854775807, "description": "Bound to it, the key sees nothing else."},
      "expires_at": {"type": ["string", "null"], "format": "date-time"},
      "requests_per_second": {"type": ["integer", "null"], "minimum": 1, "maximum": 1000000}
    }
  }',
  response => '{"type": "object", "required": ["key_id"], "properties": {
    "key_id": {"type": "integer"}, "key": {"type": "string", "description": "Shown this once: not when an Idempotency-Key brings this answer again."}}}');

select postroad.put_route('DELETE', '/keys/{key_id}', 'http_revoke_key', '{admin}', 'End an API key',
  parameters => '{"key_id": {"in": "path", "required": true, "schema": {"type": "integer", "minimum": 1, "maximum": 999999999999999999}}}',
  response => '{"type": "object", "required": ["changed"], "properties": {"changed": {"type": "boolean"}}}');
