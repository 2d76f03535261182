create or replace function postroad.check_call(
  channel       text,
  message_type  text,
  priority      text,
  subject       text,
  body          text,
  html          text,
  template      text,
  data          jsonb,
  scheduled_for timestamptz,
  expires_at    timestamptz,
  tenant_id     bigint,
  idempotency_key text,
  options       jsonb,
  out priority_number smallint,
  out reason    text
)
language plpgsql
stable
as $$
declare
  wrong text;
begin
  if (channel = any ('{email,sms,push,voice,in_app,webhook}')) is not true then
    raise exception 'unknown channel %', coalesce(quote_literal(channel), 'null')
      using errcode = 'PR002', hint = 'Channels: email, sms, push, voice, in_app, webhook.';
  end if;
  priority_number := case coalesce(priority, case message_type
      when 'transactional' then 'P4' when 'campaign' then 'P3' when 'newsletter' then 'P2' when 'alert' then 'P1' when 'emergency' then 'P0' end)
    when 'P0' then 0 when 'P1' then 1 when 'P2' then 2 when 'P3' then 3 when 'P4' then 4 end;
  if priority_number is null or (message_type = any ('{emergency,alert,newsletter,campaign,transactional}')) is not true then
    if (message_type = any ('{emergency,alert,newsletter,campaign,transactional}')) is not true then
      raise exception 'unknown message_type %', coalesce(quote_literal(message_type), 'null')
        using errcode = 'PR002', hint = 'Message types: emergency, alert, newsletter, campaign, transactional.';
    end if;
    raise exception 'unknown priority %', quote_literal(priority)
      using errcode = 'PR002', hint = 'Priorities: P0, P1, P2, P3, P4.';
  end if;
  if template is not null then
    raise exception 'unknown template %', quote_literal(template)
      using errcode = 'PR004', hint = 'There are no templates yet: give subject, body and html.';
  end if;
  if body is null and html is null then
    if channel in ('email', 'sms', 'voice') then
      raise exception 'a message over % needs a body%', channel, case when channel = 'email' then ', html or both' else '' end
        using errcode = 'PR003', hint = 'Give body => ''…''.';
    elsif subject is null and data is null then
      raise exception 'a message over % needs a subject, a body or data', channel
        using errcode = 'PR003', hint = 'Give body => ''…''.';
    end if;
  end if;
  if html is not null and channel <> 'email' then
    raise exception 'html cannot go out over %', channel
      using errcode = 'PR003', hint = 'Only email carries html; give body => ''…'' as plain text.';
  end if;
  if options is not null then
    wrong := postroad.check_options(channel, options);
    if wrong is not null then
      raise exception 'options: %', wrong
        using errcode = 'PR005',
          hint = 'Options: from, reply_to, cc, bcc, headers, tags, attachments, on_unknown, max_attempts, traceparent, tracking, push, sms, voice.';
    end if;
  end if;

  -- What follows is data, not a bug: it must not abort the caller's transaction.
  if length(subject) > 998 then
    reason := 'subject_too_long';
  elsif position(E'\n' in subject) > 0 or position(E'\r' in subject) > 0 then
    reason := 'subject_has_line_break';
  elsif channel = 'email' and subject ~ E'[\\u0001-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]' then
    reason := 'subject_has_control_character';
  elsif coalesce(octet_length(body), 0)::bigint + coalesce(octet_length(html), 0) + coalesce(pg_column_size(data), 0) + coalesce(pg_column_size(options), 0)
      > 50 * 1024 * 1024 then
    reason := 'content_too_large';
  elsif postroad.options_reason(channel, options) is not null then
    reason := postroad.options_reason(channel, options);
  elsif length(idempotency_key) not between 1 and 255 then
    reason := 'idempotency_key_too_long';
  elsif scheduled_for is not null or expires_at is not null then
    if not isfinite(scheduled_for) or abs(extract(epoch from scheduled_for - clock_timestamp())) > 10 * 366 * 86400.0 then
      reason := 'scheduled_for_out_of_range';
    elsif not isfinite(expires_at) or extract(epoch from expires_at - clock_timestamp()) > 20 * 366 * 86400.0 then
      reason := 'expires_at_out_of_range';
    elsif expires_at <= clock_timestamp() then
      reason := 'already_expired';
    elsif expires_at <= scheduled_for then
      reason := 'expires_before_scheduled';
    end if;
  end if;
end;
$$;

comment on function postroad.check_call is
$$What enqueue and enqueue_bulk check alike. Raises PR002 (unknown channel, message type, priority), PR003 (content), PR004 (template) and PR005
(options) for what is a bug of the caller; returns a reason for what is bad data: subject_too_long (998 characters, RFC 5322, section 2.1.1),
subject_has_line_break, subject_has_control_character (of a mail; a tab is none), content_too_large (50 MiB), what options_reason says, idempotency_key_too_long (1 to 255 characters), scheduled_for_out_of_range (10 years either way),
expires_at_out_of_range, already_expired, expires_before_scheduled.$$;
