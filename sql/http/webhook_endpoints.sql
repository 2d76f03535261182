create or replace function postroad.http_endpoints(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  body := postroad.request_problem('GET', '/webhook-endpoints', call);
  if body is not null then
    status := 400;
    return;
  end if;
  status := 200;
  body := jsonb_build_object('endpoints', (select coalesce(jsonb_agg(to_jsonb(e) order by e.endpoint_id), '[]') from postroad.outbound_stats as e));
end;
$$;

comment on function postroad.http_endpoints is 'GET /webhook-endpoints: the view outbound_stats.';

revoke all on function postroad.http_endpoints from public;
grant execute on function postroad.http_endpoints to postroad_http;

create or replace function postroad.http_add_endpoint(
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
  added record;
begin
  body := postroad.request_problem('POST', '/webhook-endpoints', call);
  if body is null and postroad.normalize_recipient('webhook', b ->> 'url') is null then
    body := postroad.problem(422, 'invalid_url', 'This is no URL to post to.', postroad.error_at('#/url', 'must be an http or https URL without user and password'));
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  select e.endpoint_id, e.signing_secret into added
  from postroad.add_webhook_endpoint(
    url => b ->> 'url',
    event_types => case when jsonb_typeof(b -> 'event_types') = 'array' then array(select jsonb_array_elements_text(b -> 'event_types')) else '{message.*}' end,
    channels => case when jsonb_typeof(b -> 'channels') = 'array' then array(select jsonb_array_elements_text(b -> 'channels')) end,
    tenant_id => (b ->> 'tenant_id')::numeric::bigint,
    include_addresses => coalesce((b ->> 'include_addresses')::boolean, false),
    description => b ->> 'description') as e;
  status := 201;
  body := jsonb_build_object('endpoint_id', added.endpoint_id, 'secret', added.signing_secret);
end;
$$;

comment on function postroad.http_add_endpoint is 'POST /webhook-endpoints: postroad.add_webhook_endpoint.';

revoke all on function postroad.http_add_endpoint from public;
grant execute on function postroad.http_add_endpoint to postroad_http;

create or replace function postroad.http_set_endpoint(
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
begin
  body := postroad.request_problem('PATCH', '/webhook-endpoints/{endpoint_id}', call);
  if body is null and b ->> 'url' is not null and postroad.normalize_recipient('webhook', b ->> 'url') is null then
    body := postroad.problem(422, 'invalid_url', 'This is no URL to post to.', postroad.error_at('#/url', 'must be an http or https URL without user and password'));
  elsif body is null and not postroad.set_webhook_endpoint(
      endpoint_id => (call -> 'parameters' ->> 'endpoint_id')::bigint,
      url => b ->> 'url',
      event_types => case when jsonb_typeof(b -> 'event_types') = 'array' then array(select jsonb_array_elements_text(b -> 'event_types')) end,
      channels => case when jsonb_typeof(b -> 'channels') = 'array' then array(select jsonb_array_elements_text(b -> 'channels')) end,
      include_addresses => (b ->> 'include_addresses')::boolean,
      description => b ->> 'description',
      enabled => (b ->> 'enabled')::boolean) then
    body := postroad.problem(404, 'not_found', 'There is no such endpoint.');
  end if;
  status := coalesce((body ->> 'status')::smallint, 200);
  body := coalesce(body, '{"changed": true}');
end;
$$;

comment on function postroad.http_set_endpoint is 'PATCH /webhook-endpoints/{endpoint_id}: postroad.set_webhook_endpoint.';

revoke all on function postroad.http_set_endpoint from public;
grant execute on function postroad.http_set_endpoint to postroad_http;

create or replace function postroad.http_remove_endpoint(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  body := postroad.request_problem('DELETE', '/webhook-endpoints/{endpoint_id}', call);
  if body is null and not postroad.remove_webhook_endpoint((call -> 'parameters' ->> 'endpoint_id')::bigint) then
    body := postroad.problem(404, 'not_found', 'There is no such endpoint.');
  end if;
  status := coalesce((body ->> 'status')::smallint, 200);
  body := coalesce(body, '{"changed": true}');
end;
$$;

comment on function postroad.http_remove_endpoint is 'DELETE /webhook-endpoints/{endpoint_id}: postroad.remove_webhook_endpoint.';

revoke all on function postroad.http_remove_endpoint from public;
grant execute on function postroad.http_remove_endpoint to postroad_http;

create or replace function postroad.http_rotate_endpoint(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  id constant text := call -> 'parameters' ->> 'endpoint_id';
begin
  body := postroad.request_problem('POST', '/webhook-endpoints/{endpoint_id}/rotate', call);
  if body is null and not exists (select from postroad.outbound_stats as e where e.endpoint_id = id::bigint) then
    body := postroad.problem(404, 'not_found', 'There is no such endpoint.');
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  status := 200;
  body := jsonb_build_object('secret', postroad.rotate_webhook_secret(id::bigint));
end;
$$;

comment on function postroad.http_rotate_endpoint is 'POST /webhook-endpoints/{endpoint_id}/rotate: postroad.rotate_webhook_secret; the old secret signs too for 24 hours.';

revoke all on function postroad.http_rotate_endpoint from public;
grant execute on function postroad.http_rotate_endpoint to postroad_http;

select postroad.put_route('GET', '/webhook-endpoints', 'http_endpoints', '{webhook,reader,admin}', 'The endpoints to which events are posted, and how they do',
  tenants => false,
  response => '{"type": "object", "required": ["endpoints"], "properties": {"endpoints": {"type": "array", "items": {
    "type": "object",
    "required": ["endpoint_id", "url", "event_types", "waiting"],
    "properties": {
      "endpoint_id": {"type": "integer"},
      "url": {"type": "string", "description": "Without its query."},
      "event_types": {"type": "array", "items": {"type": "string"}},
      "channels": {"type": ["array", "null"], "items": {"type": "string"}},
      "tenant_id": {"type": ["integer", "null"]},
      "disabled_at": {"type": ["string", "null"], "format": "date-time"},
      "disabled_reason": {"type": ["string", "null"]},
      "failing_since": {"type": ["string", "null"], "format": "date-time"},
      "last_success_at": {"type": ["string", "null"], "format": "date-time"},
      "last_failure_at": {"type": ["string", "null"], "format": "date-time"},
      "last_failure": {"type": ["string", "null"]},
      "waiting": {"type": "integer", "description": "Exact below 10,000."},
      "oldest_at": {"type": ["string", "null"], "format": "date-time"}
    }}}}}');

select postroad.put_route('POST', '/webhook-endpoints', 'http_add_endpoint', '{webhook,admin}', 'Have events posted to a URL, signed by Standard Webhooks',
  tenants => false,
  success => 201,
  request => postroad.endpoint_schema() || '{"required": ["url"]}',
  response => '{"type": "object", "required": ["endpoint_id"], "properties": {
    "endpoint_id": {"type": "integer"}, "secret": {"type": "string", "description": "Shown this once: not when an Idempotency-Key brings this answer again."}}}');

select postroad.put_route('PATCH', '/webhook-endpoints/{endpoint_id}', 'http_set_endpoint', '{webhook,admin}', 'Change, stop or start an endpoint',
  tenants => false,
  parameters => '{"endpoint_id": {"in": "path", "required": true, "schema": {"type": "integer", "minimum": 1, "maximum": 999999999999999999}}}',
  request => jsonb_set(postroad.endpoint_schema() #- '{properties,tenant_id}', '{properties,enabled}', '{"type": ["boolean", "null"]}'),
  response => '{"type": "object", "required": ["changed"], "properties": {"changed": {"type": "boolean"}}}');

select postroad.put_route('DELETE', '/webhook-endpoints/{endpoint_id}', 'http_remove_endpoint', '{webhook,admin}', 'Forget an endpoint, its secrets and its deliveries',
  tenants => false,
  parameters => '{"endpoint_id": {"in": "path", "required": true, "schema": {"type": "integer", "minimum": 1, "maximum": 999999999999999999}}}',
  response => '{"type": "object", "required": ["changed"], "properties": {"changed": {"type": "boolean"}}}');

select postroad.put_route('POST', '/webhook-endpoints/{endpoint_id}/rotate', 'http_rotate_endpoint', '{webhook,admin}', 'Give an endpoint a new secret; the old one signs too for 24 hours',
  tenants => false,
  parameters => '{"endpoint_id": {"in": "path", "required": true, "schema": {"type": "integer", "minimum": 1, "maximum": 999999999999999999}}}',
  response => '{"type": "object", "properties": {"secret": {"type": "string"}}}');
