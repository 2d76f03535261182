create or replace function postroad.http_register_consumer(
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
  body := postroad.request_problem('PUT', '/consumers/{consumer}', call);
  if body is not null then
    status := 400;
    return;
  end if;
  status := 200;
  body := jsonb_build_object('changed', postroad.register_consumer(
    consumer => call -> 'parameters' ->> 'consumer',
    since => postroad.read_date_time(b ->> 'since'),
    event_types => case when jsonb_typeof(b -> 'event_types') = 'array' then array(select jsonb_array_elements_text(b -> 'event_types')) end));
end;
$$;

comment on function postroad.http_register_consumer is 'PUT /consumers/{consumer}: postroad.register_consumer.';

revoke all on function postroad.http_register_consumer from public;
grant execute on function postroad.http_register_consumer to postroad_http;

create or replace function postroad.http_unregister_consumer(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  body := postroad.request_problem('DELETE', '/consumers/{consumer}', call);
  if body is null and not postroad.unregister_consumer(call -> 'parameters' ->> 'consumer') then
    body := postroad.problem(404, 'not_found', 'There is no such consumer.');
  end if;
  status := coalesce((body ->> 'status')::smallint, 200);
  body := coalesce(body, '{"changed": true}');
exception
  when insufficient_privilege then
    status := 403;
    body := postroad.problem(403, 'forbidden', 'The consumer belongs to another caller, who registered it; an operator in SQL may end it too.');
end;
$$;

comment on function postroad.http_unregister_consumer is 'DELETE /consumers/{consumer}: postroad.unregister_consumer.';

revoke all on function postroad.http_unregister_consumer from public;
grant execute on function postroad.http_unregister_consumer to postroad_http;

create or replace function postroad.http_read_events(
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
  read_batch bigint;
  events jsonb;
begin
  body := postroad.request_problem('GET', '/consumers/{consumer}/events', call);
  if body is null and not exists (select from postroad.event_consumers as c where c.consumer = p ->> 'consumer') then
    body := postroad.problem(404, 'not_found', 'There is no such consumer: register it first, by PUT.');
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  select max(e.batch_id), coalesce(jsonb_agg(to_jsonb(e) - 'batch_id'), '[]') into read_batch, events
  from postroad.read_events(p ->> 'consumer', coalesce((p ->> 'limit')::integer, 1000)) as e;
  status := 200;
  body := jsonb_build_object('batch_id', read_batch, 'events', events);
exception
  when insufficient_privilege then
    status := 403;
    body := postroad.problem(403, 'forbidden', 'The consumer belongs to another caller, who registered it.');
end;
$$;

comment on function postroad.http_read_events is 'GET /consumers/{consumer}/events: postroad.read_events, the same batch until it is acknowledged.';

revoke all on function postroad.http_read_events from public;
grant execute on function postroad.http_read_events to postroad_http;

create or replace function postroad.http_ack_events(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  name constant text := call -> 'parameters' ->> 'consumer';
begin
  body := postroad.request_problem('POST', '/consumers/{consumer}/ack', call);
  if body is null and not exists (select from postroad.event_consumers as c where c.consumer = name) then
    body := postroad.problem(404, 'not_found', 'There is no such consumer.');
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  status := 200;
  body := jsonb_build_object('changed', postroad.ack_events(name, (call -> 'body' ->> 'batch_id')::numeric::bigint));
exception
  when insufficient_privilege then
    status := 403;
    body := postroad.problem(403, 'forbidden', 'The consumer belongs to another caller, who registered it.');
end;
$$;

comment on function postroad.http_ack_events is 'POST /consumers/{consumer}/ack: postroad.ack_events.';

revoke all on function postroad.http_ack_events from public;
grant execute on function postroad.http_ack_events to postroad_http;

select postroad.put_route('PUT', '/consumers/{consumer}', 'http_register_consumer', '{webhook,admin}', 'Register a reader of events',
  tenants => false,
  parameters => '{"consumer": {"in": "path", "required": true, "schema": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}$"}}}',
  request => '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "since": {"type": ["string", "null"], "format": "date-time", "description": "Null: from now on."},
      "event_types": {"type": ["array", "null"], "minItems": 1, "maxItems": 50, "description": "Null: every event of messages.",
        "items": {"type": "string", "pattern": "^(\\*|queued|sent|deferred|delivered|opened|clicked|converted|bounced|complained|unsubscribed|failed|expired|cancelled|suppressed|unknown|received|system\\.(\\*|[a-z][a-z0-9_]*))$"}}
    }
  }',
  response => '{"type": "object", "required": ["changed"], "properties": {"changed": {"type": "boolean", "description": "False: it was registered, and stays as it was."}}}');

select postroad.put_route('DELETE', '/consumers/{consumer}', 'http_unregister_consumer', '{webhook,admin}', 'Forget a reader of events, and its position',
  tenants => false,
  parameters => '{"consumer": {"in": "path", "required": true, "schema": {"type": "string", "minLength": 1, "maxLength": 63}}}',
  response => '{"type": "object", "required": ["changed"], "properties": {"changed": {"type": "boolean"}}}');

select postroad.put_route('GET', '/consumers/{consumer}/events', 'http_read_events', '{webhook}', 'The next batch of events, the same one until it is acknowledged',
  cost => 5,
  tenants => false,
  parameters => '{
    "consumer": {"in": "path", "required": true, "schema": {"type": "string", "minLength": 1, "maxLength": 63}},
    "limit": {"in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 10000, "default": 1000}}
  }',
  response => '{"type": "object", "required": ["batch_id", "events"], "properties": {
    "batch_id": {"type": ["integer", "null"], "description": "Null: nothing new."},
    "events": {"type": "array", "items": {
      "type": "object",
      "required": ["event_type", "occurred_at"],
      "properties": {
        "event_id": {"type": ["integer", "null"]},
        "event_type": {"type": "string"},
        "occurred_at": {"type": "string", "format": "date-time"},
        "message_id": {"type": ["string", "null"], "format": "uuid"},
        "channel": {"type": ["string", "null"]},
        "message_type": {"type": ["string", "null"]},
        "tenant_id": {"type": ["integer", "null"]},
        "recipient_type": {"type": ["string", "null"]},
        "recipient_id": {"type": ["integer", "null"]},
        "source_type": {"type": ["string", "null"]},
        "source_id": {"type": ["integer", "null"]},
        "attempt": {"type": ["integer", "null"]},
        "gateway": {"type": ["string", "null"]},
        "external_id": {"type": ["string", "null"]},
        "reason": {"type": ["string", "null"]},
        "bounce_type": {"type": ["string", "null"]},
        "subject": {"type": ["string", "null"]},
        "detail": {"type": ["object", "null"]}
      }
    }}
  }}');

select postroad.put_route('POST', '/consumers/{consumer}/ack', 'http_ack_events', '{webhook}', 'Say that a batch of events was dealt with',
  tenants => false,
  parameters => '{"consumer": {"in": "path", "required": true, "schema": {"type": "string", "minLength": 1, "maxLength": 63}}}',
  request => '{"type": "object", "additionalProperties": false, "required": ["batch_id"], "properties": {
    "batch_id": {"type": "integer", "minimum": 1, "maximum": 9223372036854775807}}}',
  response => '{"type": "object", "required": ["changed"], "properties": {"changed": {"type": "boolean", "description": "False: it was acknowledged before."}}}');
