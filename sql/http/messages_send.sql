create or replace function postroad.http_send_message(
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
  sent record;
  field text;
begin
  -- Most calls are of strings alone, which one expression tells; the schema is asked for the others.
  if (jsonb_typeof(b) = 'object'
    and b - '{channel,recipient,subject,body,html}'::text[] = case when b ? 'message_type' then jsonb_build_object('message_type', b -> 'message_type') else '{}' end
    and b ->> 'channel' in ('email', 'sms')
    and length(b ->> 'recipient') between 1 and 4096
    and coalesce(b ->> 'message_type' in ('emergency', 'alert', 'newsletter', 'campaign', 'transactional'), not b ? 'message_type')
    and jsonb_path_match(b, 'strict !exists($.* ? (@.type() != "string"))')) is not true
  then
    body := postroad.request_problem('POST', '/messages', call);
    if body is null and bound <> (b ->> 'tenant_id')::numeric then
      body := postroad.problem(403, 'forbidden', 'The caller is bound to another tenant.', postroad.error_at('#/tenant_id', 'is another tenant'));
    end if;
    if body is not null then
      status := (body ->> 'status')::smallint;
      return;
    end if;
  end if;
  select e.message_id, e.status, e.reason into sent
  from postroad.enqueue(
    channel => b ->> 'channel',
    recipient => b ->> 'recipient',
    subject => b ->> 'subject',
    body => b ->> 'body',
    html => b ->> 'html',
    template => b ->> 'template',
    data => nullif(b -> 'data', 'null'),
    locale => b ->> 'locale',
    message_type => coalesce(b ->> 'message_type', 'transactional'),
    priority => b ->> 'priority',
    scheduled_for => postroad.read_date_time(b ->> 'scheduled_for'),
    expires_at => postroad.read_date_time(b ->> 'expires_at'),
    idempotency_key => b ->> 'idempotency_key',
    recipient_type => b ->> 'recipient_type',
    recipient_id => (b ->> 'recipient_id')::numeric::bigint,
    source_type => b ->> 'source_type',
    source_id => (b ->> 'source_id')::numeric::bigint,
    tenant_id => coalesce(bound, (b ->> 'tenant_id')::numeric::bigint),
    ip_pool => b ->> 'ip_pool',
    gateway => b ->> 'gateway',
    options => nullif(b -> 'options', 'null')) as e;
  if sent.status = 'invalid' then
    body := postroad.reason_problem(sent.reason);
    status := (body ->> 'status')::smallint;
    return;
  end if;
  status := case when sent.status = 'duplicate' then 200 else 202 end;
  body := jsonb_build_object('message_id', sent.message_id, 'status', sent.status, 'reason', sent.reason);
end;
$$;

comment on function postroad.http_send_message is 'POST /messages: postroad.enqueue.';

revoke all on function postroad.http_send_message from public;
grant execute on function postroad.http_send_message to postroad_http;

select postroad.put_route('POST', '/messages', 'http_send_message', '{sender}', 'Send one message',
  success => 202,
  request => postroad.message_schema() || '{"required": ["channel", "recipient"]}',
  response => '{
    "type": "object",
    "required": ["message_id", "status"],
    "properties": {
      "message_id": {"type": "string", "format": "uuid"},
      "status": {"type": "string", "enum": ["queued", "scheduled", "suppressed", "duplicate"]},
      "reason": {"type": ["string", "null"]}
    }
  }');
