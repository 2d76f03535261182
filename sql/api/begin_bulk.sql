create or replace function postroad.begin_bulk(
  channel         text,
  subject         text,
  body            text,
  html            text,
  template        text,
  data            jsonb,
  message_type    text,
  priority        text,
  scheduled_for   timestamptz,
  expires_at      timestamptz,
  idempotency_key text,
  tenant_id       bigint,
  options         jsonb,
  rest            jsonb,
  out batch_id    uuid,
  out priority_number smallint,
  out verdict     text,
  out reason      text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  select c.priority_number, c.reason into priority_number, reason
  from postroad.check_call(channel, message_type, priority, subject, body, html, template, data,
    scheduled_for, expires_at, tenant_id, idempotency_key, options) as c;
  if reason is not null then
    verdict := 'invalid';
    return;
  end if;
  batch_id := postroad.uuid_v7();
  if idempotency_key is not null then
    select k.message_id, k.verdict, k.reason into batch_id, verdict, reason
    from postroad.use_idempotency_key(tenant_id, idempotency_key, batch_id, jsonb_build_array(
      channel, subject, body, html, data, message_type, priority_number, postroad.utc_json(scheduled_for), postroad.utc_json(expires_at), options, rest)) as k;
    if verdict is not null then
      return;
    end if;
  end if;
  insert into postroad.contents (content_id, subject, body, html, data, options)
  values (batch_id, subject, body, html, data, options);
end;
$$;

comment on function postroad.begin_bulk is
$$First half of a bulk send: checks the call as postroad.enqueue does and stores the shared content under batch_id; enqueue_rows adds the recipients.
verdict is null, or duplicate (the idempotency key was seen: batch_id is the first one), or invalid (see reason). rest: what else the key stands for.$$;

revoke all on function postroad.begin_bulk from public;
grant execute on function postroad.begin_bulk to postroad_sender;
