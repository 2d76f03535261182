create or replace function postroad.http_cancel(
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
  body := postroad.request_problem('DELETE', '/messages/{message_id}', call);
  if body is null and not exists (select from postroad.record_of(id::uuid)) then
    body := postroad.no_such_message();
  elsif body is null and not postroad.cancel(id::uuid) then
    body := postroad.problem(409, 'not_waiting', 'The message does not wait any more: it is being sent, or has ended.');
  end if;
  status := coalesce((body ->> 'status')::smallint, 200);
  body := coalesce(body, jsonb_build_object('message_id', id, 'status', 'cancelled'));
end;
$$;

comment on function postroad.http_cancel is 'DELETE /messages/{message_id}: postroad.cancel.';

revoke all on function postroad.http_cancel from public;
grant execute on function postroad.http_cancel to postroad_http;

create or replace function postroad.http_retry(
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
  body := postroad.request_problem('POST', '/messages/{message_id}/retry', call);
  if body is null and not exists (select from postroad.record_of(id::uuid)) then
    body := postroad.no_such_message();
  elsif body is null and not postroad.retry(id::uuid) then
    body := postroad.problem(409, 'not_ended', 'The message is in no state that a retry follows: it waits, is being sent, or was sent.');
  end if;
  status := coalesce((body ->> 'status')::smallint, 200);
  body := coalesce(body, jsonb_build_object('message_id', id, 'status', (select s.status from postroad.status(id::uuid) as s)));
end;
$$;

comment on function postroad.http_retry is 'POST /messages/{message_id}/retry: postroad.retry.';

revoke all on function postroad.http_retry from public;
grant execute on function postroad.http_retry to postroad_http;

select postroad.put_route('DELETE', '/messages/{message_id}', 'http_cancel', '{sender,admin}', 'Withdraw a message that still waits',
  parameters => '{"message_id": {"in": "path", "required": true, "schema": {"type": "string", "format": "uuid"}}}',
  response => '{"type": "object", "required": ["message_id", "status"], "properties": {
    "message_id": {"type": "string", "format": "uuid"}, "status": {"type": "string", "enum": ["cancelled"]}}}');

select postroad.put_route('POST', '/messages/{message_id}/retry', 'http_retry', '{admin}', 'Send again what failed, expired, was cancelled or is unknown',
  parameters => '{"message_id": {"in": "path", "required": true, "schema": {"type": "string", "format": "uuid"}}}',
  response => '{"type": "object", "required": ["message_id", "status"], "properties": {
    "message_id": {"type": "string", "format": "uuid"}, "status": {"type": "string", "enum": ["queued", "scheduled"]}}}');
