create or replace function postroad.enqueue(
  channel         text,
  recipient       text,
  subject         text default null,
  body            text default null,
  html            text default null,
  template        text default null,
  data            jsonb default null,
  locale          text default null,
  message_type    text default 'transactional',
  priority        text default null,
  scheduled_for   timestamptz default null,
  expires_at      timestamptz default null,
  idempotency_key text default null,
  recipient_type  text default null,
  recipient_id    bigint default null,
  source_type     text default null,
  source_id       bigint default null,
  tenant_id       bigint default null,
  ip_pool         text default null,
  gateway         text default null,
  options         jsonb default null,
  out message_id  uuid,
  out status      text,
  out reason      text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  p smallint;
  waits boolean;
begin
  message_id := postroad.uuid_v7();

  -- Each call is a transaction of its own, most often, and each expression and statement is set up anew in it, by the size of it: so the plain case is told by one,
  -- and few follow.
  p := case
    when num_nulls(priority, template, data, options, idempotency_key, scheduled_for, expires_at) = 7
      and octet_length(body) < 100000 and (html is null or channel = 'email' and octet_length(html) < 100000)
      and (subject is null or octet_length(subject) <= 998 and subject !~ E'[\\u0001-\\u001f\\u007f-\\u009f]')
      and case channel                           -- as normalize_recipient spells it already
        when 'email' then octet_length(recipient) <= 64
          and position('xn--' in recipient) = 0
          and recipient ~ '^[A-Za-z0-9_+-]+([.][A-Za-z0-9_+-]+)*@([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])+[a-z0-9]([a-z0-9-]*[a-z0-9])?$'
        when 'sms' then recipient ~ '^[+][1-9][0-9]{6,14}$'
      end
      then array_position('[0:4]={emergency,alert,newsletter,campaign,transactional}'::text[], message_type)
  end;
  if p is null then
    select c.priority_number, c.reason into p, reason
    from postroad.check_call(channel, message_type, priority, subject, body, html, template, data,
      scheduled_for, expires_at, tenant_id, idempotency_key, options) as c;
    if reason is null then
      reason := case when btrim(recipient) <> '' then 'invalid_recipient' else 'recipient_missing' end;
      recipient := postroad.normalize_recipient(channel, recipient);
    end if;
    if recipient is null or reason not in ('invalid_recipient', 'recipient_missing') then
      message_id := null;
      status := 'invalid';
      return;
    end if;
    reason := null;
    if idempotency_key is not null then
      select k.message_id, k.verdict, k.reason into message_id, status, reason
      from postroad.use_idempotency_key(tenant_id, idempotency_key, message_id, jsonb_build_array(
        channel, recipient, subject, body, html, data, locale, message_type, p, postroad.utc_json(scheduled_for), postroad.utc_json(expires_at),
        recipient_type, recipient_id, source_type, source_id, ip_pool, gateway, options)) as k;
      if status is not null then
        return;
      end if;
    end if;
    waits := scheduled_for > clock_timestamp();
  end if;

  with recorded as (
    insert into postroad.messages (
      message_id, tenant_id, recipient_id, source_id, scheduled_for, expires_at, priority, channel, message_type,
      recipient, recipient_type, source_type, ip_pool, gateway, locale, subject, body, html, data, options)
    values (
      message_id, tenant_id, recipient_id, source_id, scheduled_for, expires_at, p, channel, message_type,
      recipient, recipient_type, source_type, ip_pool, gateway, locale, subject, body, html, data, options)
  )
  insert into postroad.message_queue (seq, message_id, priority, size_kb)
  select postroad.next_seq(p), message_id, p, least(pg_column_size((body, html, data, options)) / 1024, 32767)
  where waits is not true
    and not exists (                             -- the cheapest of probes: few addresses are on the list at all
      select
      from postroad.suppression_list as s
      where s.address = case enqueue.channel when 'email' then lower(recipient collate "C") else recipient end
    );
  if not found then
    reason := postroad.suppressed_by(channel, recipient, tenant_id);
    if reason is not null then
      insert into postroad.delivery_events (message_id, event_type, reason)
      values (message_id, 'suppressed', reason);
      status := 'suppressed';
      return;
    elsif waits then
      insert into postroad.scheduled (message_id, due_at, priority)
      values (message_id, scheduled_for, p);
      status := 'scheduled';
      return;
    end if;
    insert into postroad.message_queue (seq, message_id, priority, size_kb)        -- on the list for others: another channel, another tenant, a time that is over
    values (postroad.next_seq(p), message_id, p, least(pg_column_size((body, html, data, options)) / 1024, 32767));
  end if;
  status := 'queued';

  -- As postroad.wake, without the call.
  if pg_try_advisory_lock_shared(1886351220, 20 + p) and pg_advisory_unlock_shared(1886351220, 20 + p) then
    return;                                      -- nobody sleeps
  elsif current_setting('postroad.notify', true) is distinct from 'off'
    and pg_try_advisory_lock_shared(1886351220, 10 + p) and pg_advisory_unlock_shared(1886351220, 10 + p) then
    perform pg_notify('postroad_p' || p, '');    -- somebody sleeps, and nobody is awake
  end if;
end;
$$;

comment on function postroad.enqueue is
$$Enqueues one message in the caller's transaction: it goes out if and only if that commits.

channel: email, sms, push, voice, in_app, webhook. recipient: see postroad.normalize_recipient.
subject (at most 998 characters), body (plain text), html (email only): literal, no templating in them. template, locale: reserved. data: what push, in_app and
webhook carry as JSON. message_type: transactional (default), emergency, alert, newsletter, campaign; gives the priority unless priority is given
(P0 emergency, P1 alert, P2 newsletter, P3 campaign, P4 transactional). scheduled_for: not before (default: now). expires_at: not after (default: never).
idempotency_key: up to 255 characters, remembered 7 days for each tenant. recipient_type, recipient_id, source_type, source_id, tenant_id: yours, kept with the message.
ip_pool: instead of the configured one. gateway: tried first, the channel's configured ones after it. options: from, reply_to, cc, bcc, headers, tags, attachments, on_unknown, max_attempts, traceparent
(a W3C trace context, which calls of gateways and logs carry on), tracking, push, sms, voice.

Returns message_id, status and reason. status: queued, scheduled, suppressed (recorded, not sent; reason says why), duplicate (the key was seen: message_id is the first
one), invalid (nothing was recorded; reason says what is wrong with the data; key_reused: the key was seen with another message).
Raises PR002 (unknown channel, message type or priority), PR003 (content missing or unfit for the channel), PR004 (unknown template), PR005 (options).$$;

revoke all on function postroad.enqueue from public;
grant execute on function postroad.enqueue to postroad_sender;
