create or replace function postroad.http_gateways(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  body := postroad.request_problem('GET', '/gateways', call);
  if body is not null then
    status := 400;
    return;
  end if;
  status := 200;
  body := jsonb_build_object('gateways', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'gateway', h.gateway,
      'channels', h.channels,
      'weight', s.weight,
      'paused', x.reason,
      'breaker', case when s.is_open then 'open' else 'closed' end,
      'breaker_cause', s.cause,
      'breaker_changed_at', s.changed_at,
      'success_rate_1h', h.success_rate_1h,
      'average_latency_ms', h.average_latency_ms,
      'p95_latency_ms', h.p95_latency_ms,
      'current_rate', h.current_rate,
      'last_success_at', h.last_success_at,
      'last_failure_at', h.last_failure_at,
      'last_reason', h.last_reason) order by h.gateway), '[]')
    from (
      select c.gateway, jsonb_agg(c.channel order by c.channel) as channels, min(c.success_rate_1h) as success_rate_1h,
        max(c.average_latency_ms) as average_latency_ms, max(c.p95_latency_ms) as p95_latency_ms, sum(c.current_rate) as current_rate,
        max(c.last_success_at) as last_success_at, max(c.last_failure_at) as last_failure_at,
        (array_agg(c.last_reason order by c.last_failure_at desc nulls last))[1] as last_reason
      from postroad.channel_health as c
      group by c.gateway
    ) as h
    left join postroad.gateway_states as s on s.gateway = h.gateway
    left join postroad.pauses as x on x.scope = 'gateway' and x.key = h.gateway
  ));
end;
$$;

comment on function postroad.http_gateways is 'GET /gateways: what workers registered, and how it does; of several channels the worst figure.';

revoke all on function postroad.http_gateways from public;
grant execute on function postroad.http_gateways to postroad_http;

create or replace function postroad.http_pause_gateway(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  body := coalesce(postroad.request_problem('POST', '/gateways/{gateway}/pause', call), postroad.gateway_problem(call));
  if body is null and btrim(call -> 'body' ->> 'reason') = '' then
    body := postroad.problem(422, 'invalid_reason', 'A pause needs a reason.', postroad.error_at('#/reason', 'must not be blank'));
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  perform postroad.pause('gateway', call -> 'parameters' ->> 'gateway', call -> 'body' ->> 'reason');
  status := 200;
  body := '{"changed": true}';
end;
$$;

comment on function postroad.http_pause_gateway is 'POST /gateways/{gateway}/pause: postroad.pause.';

revoke all on function postroad.http_pause_gateway from public;
grant execute on function postroad.http_pause_gateway to postroad_http;

create or replace function postroad.http_resume_gateway(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  body := coalesce(postroad.request_problem('POST', '/gateways/{gateway}/resume', call), postroad.gateway_problem(call));
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  status := 200;
  body := jsonb_build_object('changed', postroad.resume('gateway', call -> 'parameters' ->> 'gateway'));
end;
$$;

comment on function postroad.http_resume_gateway is 'POST /gateways/{gateway}/resume: postroad.resume.';

revoke all on function postroad.http_resume_gateway from public;
grant execute on function postroad.http_resume_gateway to postroad_http;

create or replace function postroad.http_weigh_gateway(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  body := coalesce(postroad.request_problem('PUT', '/gateways/{gateway}/weight', call), postroad.gateway_problem(call));
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  perform postroad.set_gateway_weight(call -> 'parameters' ->> 'gateway', (call -> 'body' ->> 'weight')::numeric::integer);
  status := 200;
  body := '{"changed": true}';
end;
$$;

comment on function postroad.http_weigh_gateway is 'PUT /gateways/{gateway}/weight: postroad.set_gateway_weight.';

revoke all on function postroad.http_weigh_gateway from public;
grant execute on function postroad.http_weigh_gateway to postroad_http;

select postroad.put_route('GET', '/gateways', 'http_gateways', '{reader,admin}', 'The gateways, and how they do',
  tenants => false,
  response => '{"type": "object", "required": ["gateways"], "properties": {"gateways": {"type": "array", "items": {
    "type": "object",
    "required": ["gateway", "channels", "breaker"],
    "properties": {
      "gateway": {"type": "string"},
      "channels": {"type": "array", "items": {"type": "string"}},
      "weight": {"type": ["integer", "null"]},
      "paused": {"type": ["string", "null"], "description": "Why it is paused."},
      "breaker": {"type": "string", "enum": ["open", "closed"]},
      "breaker_cause": {"type": ["string", "null"]},
      "breaker_changed_at": {"type": ["string", "null"], "format": "date-time"},
      "success_rate_1h": {"type": ["number", "null"]},
      "average_latency_ms": {"type": ["number", "null"]},
      "p95_latency_ms": {"type": ["number", "null"]},
      "current_rate": {"type": ["number", "null"]},
      "last_success_at": {"type": ["string", "null"], "format": "date-time"},
      "last_failure_at": {"type": ["string", "null"], "format": "date-time"},
      "last_reason": {"type": ["string", "null"]}
    }}}}}');

select postroad.put_route('POST', '/gateways/{gateway}/pause', 'http_pause_gateway', '{admin}', 'Take a gateway out of use',
  tenants => false,
  parameters => '{"gateway": {"in": "path", "required": true, "schema": {"type": "string", "minLength": 1, "maxLength": 200}}}',
  request => '{"type": "object", "additionalProperties": false, "required": ["reason"], "properties": {"reason": {"type": "string", "minLength": 1, "maxLength": 1000}}}',
  response => '{"type": "object", "required": ["changed"], "properties": {"changed": {"type": "boolean"}}}');

select postroad.put_route('POST', '/gateways/{gateway}/resume', 'http_resume_gateway', '{admin}', 'Take a gateway back into use',
  tenants => false,
  parameters => '{"gateway": {"in": "path", "required": true, "schema": {"type": "string", "minLength": 1, "maxLength": 200}}}',
  response => '{"type": "object", "required": ["changed"], "properties": {"changed": {"type": "boolean", "description": "False: it was not paused."}}}');

select postroad.put_route('PUT', '/gateways/{gateway}/weight', 'http_weigh_gateway', '{admin}', 'Set a gateway''s share of its channels'' traffic',
  tenants => false,
  parameters => '{"gateway": {"in": "path", "required": true, "schema": {"type": "string", "minLength": 1, "maxLength": 200}}}',
  request => '{"type": "object", "additionalProperties": false, "required": ["weight"], "properties": {
    "weight": {"type": ["integer", "null"], "minimum": 0, "maximum": 1000000, "description": "Null: in configured order."}}}',
  response => '{"type": "object", "required": ["changed"], "properties": {"changed": {"type": "boolean"}}}');
