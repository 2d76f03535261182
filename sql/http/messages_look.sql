create or replace function postroad.http_message(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  body := postroad.request_problem('GET', '/messages/{message_id}', call);
  if body is null then
    status := 200;
    body := postroad.message_json((call -> 'parameters' ->> 'message_id')::uuid);
    if body is not null then
      return;
    end if;
    body := postroad.no_such_message();
  end if;
  status := (body ->> 'status')::smallint;
end;
$$;

comment on function postroad.http_message is 'GET /messages/{message_id}: postroad.status.';

revoke all on function postroad.http_message from public;
grant execute on function postroad.http_message to postroad_http;

create or replace function postroad.http_timeline(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  events jsonb;
begin
  body := postroad.request_problem('GET', '/messages/{message_id}/timeline', call);
  if body is null then
    select jsonb_agg(to_jsonb(t)) into events
    from postroad.timeline((call -> 'parameters' ->> 'message_id')::uuid) as t;
    if events is not null then
      status := 200;
      body := jsonb_build_object('events', events);
      return;
    end if;
    body := postroad.no_such_message();
  end if;
  status := (body ->> 'status')::smallint;
end;
$$;

comment on function postroad.http_timeline is 'GET /messages/{message_id}/timeline: postroad.timeline.';

revoke all on function postroad.http_timeline from public;
grant execute on function postroad.http_timeline to postroad_http;

create or replace function postroad.http_explain(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  id constant text := call -> 'parameters' ->> 'message_id';
begin
  body := postroad.request_problem('GET', '/messages/{message_id}/explain', call);
  if body is null and not exists (select from postroad.record_of(id::uuid)) then
    body := postroad.no_such_message();
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  status := 200;
  body := jsonb_build_object('gates', (
    select jsonb_agg(jsonb_build_object('gate', g.gate, 'verdict', g.verdict, 'reason', g.reason, 'until', nullif(g.until, 'infinity')))
    from postroad.explain(id::uuid) as g
  ));
end;
$$;

comment on function postroad.http_explain is 'GET /messages/{message_id}/explain: postroad.explain.';

revoke all on function postroad.http_explain from public;
grant execute on function postroad.http_explain to postroad_http;

select postroad.put_route('GET', '/messages/{message_id}', 'http_message', '{sender,reader,admin}', 'Where a message is',
  parameters => '{"message_id": {"in": "path", "required": true, "schema": {"type": "string", "format": "uuid"}}}',
  response => postroad.message_response());

select postroad.put_route('GET', '/messages/{message_id}/timeline', 'http_timeline', '{sender,reader,admin}', 'What happened to a message, oldest first',
  parameters => '{"message_id": {"in": "path", "required": true, "schema": {"type": "string", "format": "uuid"}}}',
  response => '{
    "type": "object",
    "required": ["events"],
    "properties": {"events": {"type": "array", "items": {
      "type": "object",
      "required": ["occurred_at", "event_type"],
      "properties": {
        "occurred_at": {"type": "string", "format": "date-time"},
        "event_type": {"type": "string"},
        "attempt": {"type": ["integer", "null"]},
        "gateway": {"type": ["string", "null"]},
        "external_id": {"type": ["string", "null"]},
        "reason": {"type": ["string", "null"]},
        "bounce_type": {"type": ["string", "null"]},
        "detail": {"type": ["object", "null"]}
      }
    }}}
  }');

select postroad.put_route('GET', '/messages/{message_id}/explain', 'http_explain', '{sender,reader,admin}', 'Why a message is where it is, gate by gate',
  cost => 5,
  parameters => '{"message_id": {"in": "path", "required": true, "schema": {"type": "string", "format": "uuid"}}}',
  response => '{
    "type": "object",
    "required": ["gates"],
    "properties": {"gates": {"type": "array", "items": {
      "type": "object",
      "required": ["gate", "verdict"],
      "properties": {
        "gate": {"type": "string"},
        "verdict": {"type": "string", "enum": ["pass", "wait", "stop", "done"]},
        "reason": {"type": ["string", "null"]},
        "until": {"type": ["string", "null"], "format": "date-time"}
      }
    }}}
  }');
