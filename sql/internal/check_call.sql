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
    wrong := postroad.check_options(options);
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
  elsif coalesce(octet_length(body), 0)::bigint + coalesce(octet_length(html), 0) + coalesce(pg_column_size(data), 0) + coalesce(pg_column_size(options), 0)
      > 50 * 1024 * 1024 then
    reason := 'content_too_large';
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
subject_has_line_break, content_too_large (50 MiB), idempotency_key_too_long (1 to 255 characters), scheduled_for_out_of_range (10 years either way),
expires_at_out_of_range, already_expired, expires_before_scheduled.$$;

create or replace function postroad.check_options(options jsonb)
returns text
language plpgsql
immutable
as $$
declare
  option text;
  given jsonb;
begin
  if jsonb_typeof(options) <> 'object' then
    return 'expected a JSON object, got ' || jsonb_typeof(options);
  end if;
  for option, given in select o.key, o.value from jsonb_each(options) as o loop
    case option
      when 'from', 'reply_to' then
        if jsonb_typeof(given) <> 'string' then
          return option || ' must be a string';
        end if;
      when 'cc', 'bcc', 'tags' then
        if jsonb_typeof(given) <> 'array' or jsonb_path_exists(given, '$[*] ? (@.type() != "string")') then
          return option || ' must be an array of strings';
        end if;
      when 'headers' then
        if jsonb_typeof(given) <> 'object' or jsonb_path_exists(given, '$.* ? (@.type() != "string")') then
          return 'headers must be an object of strings';
        end if;
      when 'attachments' then
        if jsonb_typeof(given) <> 'array' or exists (
          select from jsonb_path_query(given, 'strict $[*]') as a (attachment)
          where jsonb_typeof(a.attachment -> 'filename') is distinct from 'string'
            or jsonb_typeof(a.attachment -> 'content') is distinct from 'string'
        ) then
          return 'attachments must be an array of objects with filename and content (base64)';
        end if;
      when 'on_unknown' then
        if given not in ('"resend"', '"hold"') then
          return 'on_unknown must be resend or hold';
        end if;
      when 'max_attempts' then
        if jsonb_typeof(given) <> 'number' or (given::text ~ '^[0-9]{1,3}$' and given::integer between 1 and 100) is not true then
          return 'max_attempts must be a whole number from 1 to 100';
        end if;
      when 'tracking' then
        if jsonb_typeof(given) <> 'boolean' then
          return 'tracking must be true or false';
        end if;
      when 'traceparent' then                    -- one that is garbled ends no transaction: whoever reads it goes on without
        if jsonb_typeof(given) <> 'string' or octet_length(given::text) > 300 then
          return 'traceparent must be a string, as the header of W3C Trace Context';
        end if;
      when 'push' then
        if postroad.check_push(given) is not null then
          return postroad.check_push(given);
        end if;
      when 'sms' then
        if jsonb_typeof(given) <> 'object' or given - '{media_urls,validity_seconds}'::text[] <> '{}'
            or coalesce(jsonb_typeof(given -> 'media_urls') <> 'array', false) or jsonb_path_exists(given, '$.media_urls[*] ? (@.type() != "string")')
            or coalesce((given ->> 'validity_seconds') !~ '^[0-9]{1,6}$' or jsonb_typeof(given -> 'validity_seconds') <> 'number'
              or (given ->> 'validity_seconds')::numeric not between 1 and 172800, false) then
          return 'sms must be an object with media_urls (an array of strings) and validity_seconds (1 to 172800)';
        end if;
      when 'voice' then
        if jsonb_typeof(given) <> 'object' or given - '{language,voice}'::text[] <> '{}' or jsonb_path_exists(given, '$.* ? (@.type() != "string")') then
          return 'voice must be an object with language and voice (strings)';
        end if;
      else
        return format('unknown option %L', left(option, 40));
    end case;
  end loop;
  return null;
end;
$$;

comment on function postroad.check_options is 'What is wrong with the options of a message, or null.';

create or replace function postroad.check_push(push jsonb)
returns text
language plpgsql
immutable
as $$
declare
  option text;
  given jsonb;
begin
  if jsonb_typeof(push) <> 'object' then
    return 'push must be an object';
  end if;
  for option, given in select p.key, p.value from jsonb_each(push) as p loop
    case option
      when 'sound', 'image', 'click_action', 'collapse_key' then
        if jsonb_typeof(given) <> 'string' then
          return format('push.%s must be a string', option);
        end if;
      when 'badge' then
        if jsonb_typeof(given) <> 'number' or (given::text ~ '^[0-9]{1,9}$') is not true then
          return 'push.badge must be a whole number from 0 to 999999999';
        end if;
      when 'ttl' then
        if jsonb_typeof(given) <> 'number' or (given::text ~ '^[0-9]{1,7}$' and given::integer <= 2419200) is not true then
          return 'push.ttl must be a whole number of seconds from 0 to 2419200 (28 days)';
        end if;
      when 'android', 'apns', 'webpush' then
        if jsonb_typeof(given) <> 'object' then
          return format('push.%s must be an object', option);
        end if;
      else
        return format('unknown option push.%s; accepted: badge, sound, image, click_action, collapse_key, ttl, android, apns, webpush', left(option, 40));
    end case;
  end loop;
  return null;
end;
$$;

comment on function postroad.check_push is 'What is wrong with the option push of a message, or null.';
