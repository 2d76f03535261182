--
-- PostgreSQL database dump
--

--
-- Name: postroad; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA postroad;

--
-- Name: SCHEMA postroad; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA postroad IS 'The messaging layer of the organisation: call postroad.enqueue(…) in your own transaction.';

--
-- Name: add_gateway_calls(text[], text[], bigint[], bigint[], jsonb, text[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.add_gateway_calls(gateways text[], channels text[], sent bigint[], failed bigint[], latencies jsonb, reasons text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  insert into postroad.gateway_minutes as g (minute, gateway, channel, sent, failed, latencies)
  select date_trunc('minute', clock_timestamp()), u.gateway, u.channel, u.sent, u.failed,
    array(select b.calls::bigint from jsonb_array_elements_text(latencies -> (u.nth::integer - 1)) with ordinality as b (calls, nth) order by b.nth)
  from unnest(gateways, channels, sent, failed) with ordinality as u (gateway, channel, sent, failed, nth)
  order by u.gateway, u.channel
  on conflict on constraint gateway_minutes_pkey do update
  set sent = g.sent + excluded.sent, failed = g.failed + excluded.failed,
    latencies = array(select a + b from unnest(g.latencies, excluded.latencies) with ordinality as l (a, b, nth) order by l.nth);
  update postroad.channel_health as h
  set sent = h.sent + u.sent, failed = h.failed + u.failed,
    last_success_at = case when u.sent > 0 then clock_timestamp() else h.last_success_at end,
    last_failure_at = case when u.failed > 0 then clock_timestamp() else h.last_failure_at end,
    last_reason = coalesce(u.reason, h.last_reason)
  from (
    select x.* from unnest(gateways, channels, sent, failed, reasons) as x (gateway, channel, sent, failed, reason) order by 1, 2
  ) as u
  where h.gateway = u.gateway and h.channel = u.channel;
end;
$$;

--
-- Name: FUNCTION add_gateway_calls(gateways text[], channels text[], sent bigint[], failed bigint[], latencies jsonb, reasons text[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.add_gateway_calls(gateways text[], channels text[], sent bigint[], failed bigint[], latencies jsonb, reasons text[]) IS 'Adds a worker''s calls of the last seconds to gateway_minutes and channel_health: one element of each array a gateway and channel; latencies is an array of arrays of 17
buckets; reasons: of the last failure, or null.';

--
-- Name: advance_floors(bigint[], text[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.advance_floors(candidates bigint[], enqueuers text[]) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $_$
declare
  queue_floor bigint;
  lowest bigint;
begin
  if exists (
    select from postroad.enqueuers() as e (id)
    where e.id = any (enqueuers)
      or e.id like '-1/%'                        -- prepared since: it has another name now
  ) then
    return false;
  end if;
  for p in 0..4 loop
    execute format('select last_value from postroad.queue_floor_p%s', p) into queue_floor;
    execute format('select q.seq from postroad.message_queue_p%s as q where q.seq >= $1 order by q.seq limit 1', p) into lowest using queue_floor;
    if least(lowest, candidates[p + 1]) > queue_floor then
      perform setval(format('postroad.queue_floor_p%s', p), least(lowest, candidates[p + 1]));
    end if;
  end loop;
  return true;
end;
$_$;

--
-- Name: FUNCTION advance_floors(candidates bigint[], enqueuers text[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.advance_floors(candidates bigint[], enqueuers text[]) IS 'Second half: raises each floor to the noted value, never above the lowest row that waits; false, and nothing done, while one of the noted enqueuers is open.';

--
-- Name: alarms(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.alarms() RETURNS SETOF text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return query
  select format('%s leases of P%s are older than 10 minutes, the oldest since %s: see postroad.in_flight', count(*), l.priority, min(l.leased_at))
  from postroad.leases as l
  where l.leased_at < clock_timestamp() - interval '10 minutes'
  group by l.priority
  order by l.priority;
  return query
  select format('P%s is overdue: its oldest message waits since %s: see postroad.queue_stats', p, d.oldest_at)
  from generate_series(0, 4) as p, postroad.queue_depth(p::smallint) as d
  where clock_timestamp() - d.oldest_at > postroad.overdue_after(p::smallint)
  order by p;
end;
$$;

--
-- Name: FUNCTION alarms(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.alarms() IS 'What an operator must look at, a sentence each: leases older than 10 minutes (an alarm, which never releases them), priorities whose oldest message is overdue. The elected
maintainer logs them once a minute.';

--
-- Name: begin_bulk(text, text, text, text, text, jsonb, text, text, timestamp with time zone, timestamp with time zone, text, bigint, jsonb, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.begin_bulk(channel text, subject text, body text, html text, template text, data jsonb, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, tenant_id bigint, options jsonb, rest jsonb, OUT batch_id uuid, OUT priority_number smallint, OUT verdict text, OUT reason text) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
      channel, subject, body, html, data, message_type, priority_number, scheduled_for, expires_at, options, rest)) as k;
    if verdict is not null then
      return;
    end if;
  end if;
  insert into postroad.contents (content_id, subject, body, html, data, options)
  values (batch_id, subject, body, html, data, options);
end;
$$;

--
-- Name: FUNCTION begin_bulk(channel text, subject text, body text, html text, template text, data jsonb, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, tenant_id bigint, options jsonb, rest jsonb, OUT batch_id uuid, OUT priority_number smallint, OUT verdict text, OUT reason text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.begin_bulk(channel text, subject text, body text, html text, template text, data jsonb, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, tenant_id bigint, options jsonb, rest jsonb, OUT batch_id uuid, OUT priority_number smallint, OUT verdict text, OUT reason text) IS 'First half of a bulk send: checks the call as postroad.enqueue does and stores the shared content under batch_id; enqueue_rows adds the recipients.
verdict is null, or duplicate (the idempotency key was seen: batch_id is the first one), or invalid (see reason). rest: what else the key stands for.';

--
-- Name: cancel(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.cancel(message_id uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  -- A claim deletes the same row: exactly one of the two gets it. A row that a claim has locked is waited for, and gone then.
  delete from postroad.message_queue as q where q.message_id = cancel.message_id;
  if not found then
    delete from postroad.scheduled as s where s.message_id = cancel.message_id;
  end if;
  if not found then
    return false;
  end if;
  insert into postroad.delivery_events (message_id, event_type, reason)
  values (message_id, 'cancelled', 'cancelled');
  return true;
end;
$$;

--
-- Name: FUNCTION cancel(message_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.cancel(message_id uuid) IS 'Withdraws a message that still waits, in the queue, for its time, for its next attempt or in a pause. False when it does not: it is being sent, or has ended,
or is not known.';

--
-- Name: check_call(text, text, text, text, text, text, text, jsonb, timestamp with time zone, timestamp with time zone, bigint, text, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.check_call(channel text, message_type text, priority text, subject text, body text, html text, template text, data jsonb, scheduled_for timestamp with time zone, expires_at timestamp with time zone, tenant_id bigint, idempotency_key text, options jsonb, OUT priority_number smallint, OUT reason text) RETURNS record
    LANGUAGE plpgsql STABLE
    AS $$
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
          hint = 'Options: from, reply_to, cc, bcc, headers, tags, attachments, on_unknown, max_attempts, push, sms, voice.';
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

--
-- Name: FUNCTION check_call(channel text, message_type text, priority text, subject text, body text, html text, template text, data jsonb, scheduled_for timestamp with time zone, expires_at timestamp with time zone, tenant_id bigint, idempotency_key text, options jsonb, OUT priority_number smallint, OUT reason text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.check_call(channel text, message_type text, priority text, subject text, body text, html text, template text, data jsonb, scheduled_for timestamp with time zone, expires_at timestamp with time zone, tenant_id bigint, idempotency_key text, options jsonb, OUT priority_number smallint, OUT reason text) IS 'What enqueue and enqueue_bulk check alike. Raises PR002 (unknown channel, message type, priority), PR003 (content), PR004 (template) and PR005
(options) for what is a bug of the caller; returns a reason for what is bad data: subject_too_long (998 characters, RFC 5322, section 2.1.1),
subject_has_line_break, content_too_large (50 MiB), idempotency_key_too_long (1 to 255 characters), scheduled_for_out_of_range (10 years either way),
expires_at_out_of_range, already_expired, expires_before_scheduled.';

--
-- Name: check_options(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.check_options(options jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
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
$_$;

--
-- Name: FUNCTION check_options(options jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.check_options(options jsonb) IS 'What is wrong with the options of a message, or null.';

--
-- Name: check_push(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.check_push(push jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
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
$_$;

--
-- Name: FUNCTION check_push(push jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.check_push(push jsonb) IS 'What is wrong with the option push of a message, or null.';

--
-- Name: claim(smallint, uuid, bigint, integer, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.claim(priority smallint, lease_id uuid, worker_id bigint, max_count integer, max_kb integer DEFAULT 8192) RETURNS TABLE(message_id uuid, attempt smallint, verdict text, pause_id bigint, channel text, message_type text, recipient text, content_id uuid, tenant_id bigint, ip_pool text, gateway text, subject text, body text, html text, data jsonb, options jsonb)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  queue_floor bigint;
  some_paused boolean;
  now constant timestamptz := clock_timestamp();
begin
  if not exists (select from postroad.worker_sessions as w where w.worker_id = claim.worker_id) then
    raise exception 'worker % is not registered, or was taken for dead', worker_id
      using errcode = 'PR010', hint = 'Register with a new worker_id.';
  end if;
  -- A claim need not survive a crash of the server: lost, its messages are in the queue again, and what was sent of them meanwhile is either recorded
  -- (a completion, whose commit is durable, brings the claim with it) or as unknown as after any crash. Intents, too, are durable.
  perform set_config('synchronous_commit', 'off', true);
  some_paused := exists (select from postroad.pauses);
  if some_paused and exists (
    select from postroad.pauses as x where x.scope = 'priority' and x.key = 'P' || claim.priority
  ) then
    return;
  end if;
  case priority

  when 0 then
    select s.last_value into queue_floor from postroad.queue_floor_p0 as s;
    return query
    with candidate as (
      select c.ctid as place, c.rescues, c.size_kb
      from postroad.message_queue_p0 as c
      where c.seq >= queue_floor
      order by c.seq
      limit claim.max_count
      for update skip locked
    ), counted as (
      select c.place,
        row_number() over upto as nth,
        sum(c.size_kb) over upto as total_kb,
        max(c.rescues) over upto as most_rescues
      from candidate as c
      window upto as (rows unbounded preceding)
    ), picked as materialized (
      delete from postroad.message_queue_p0 as q
      where q.ctid = any (array(
        select c.place
        from counted as c
        where c.nth = 1
          or c.total_kb <= claim.max_kb and c.most_rescues = 0
      ))
      returning q.message_id, q.attempt, q.rescues
    ), lease as (
      insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
      select claim.lease_id, claim.worker_id, 0, max(p.rescues), array_agg(p.message_id), array_agg(p.attempt)
      from picked as p
      having count(*) > 0
      returning 1
    )
    select p.message_id, p.attempt,
      case
        when coalesce(m.message_id, k.message_id) is null then 'record_gone'
        when coalesce(m.expires_at, k.expires_at) <= now then 'expired'
        when exists (
          select from postroad.suppression_list as s
          where s.address = case when m.channel = 'email' then lower(m.recipient) else coalesce(m.recipient, postroad.suppression_key(k.channel, k.recipient)) end
            and (s.channel is null or s.channel = coalesce(m.channel, k.channel))
            and (s.tenant_id is null or s.tenant_id = coalesce(m.tenant_id, k.tenant_id))
            and (s.expires_at is null or s.expires_at > now)
        ) then 'suppressed'
        when some_paused and postroad.pause_of(m, k) is not null then 'paused'
      end,
      case when some_paused then postroad.pause_of(m, k) end,
      coalesce(m.channel, k.channel), coalesce(m.message_type, k.message_type), coalesce(m.recipient, k.recipient),
      coalesce(m.content_id, k.content_id), coalesce(m.tenant_id, k.tenant_id),
      coalesce(m.ip_pool, k.ip_pool), coalesce(m.gateway, k.gateway),
      coalesce(m.subject, k.subject), coalesce(m.body, k.body), coalesce(m.html, k.html),
      coalesce(m.data, k.data), coalesce(m.options, k.options)
    from lease, picked as p
    left join postroad.messages as m on m.message_id = p.message_id
    left join postroad.messages_kept as k on m.message_id is null and k.message_id = p.message_id;

  when 1 then
    select s.last_value into queue_floor from postroad.queue_floor_p1 as s;
    return query
    with candidate as (
      select c.ctid as place, c.rescues, c.size_kb
      from postroad.message_queue_p1 as c
      where c.seq >= queue_floor
      order by c.seq
      limit claim.max_count
      for update skip locked
    ), counted as (
      select c.place,
        row_number() over upto as nth,
        sum(c.size_kb) over upto as total_kb,
        max(c.rescues) over upto as most_rescues
      from candidate as c
      window upto as (rows unbounded preceding)
    ), picked as materialized (
      delete from postroad.message_queue_p1 as q
      where q.ctid = any (array(
        select c.place
        from counted as c
        where c.nth = 1
          or c.total_kb <= claim.max_kb and c.most_rescues = 0
      ))
      returning q.message_id, q.attempt, q.rescues
    ), lease as (
      insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
      select claim.lease_id, claim.worker_id, 1, max(p.rescues), array_agg(p.message_id), array_agg(p.attempt)
      from picked as p
      having count(*) > 0
      returning 1
    )
    select p.message_id, p.attempt,
      case
        when coalesce(m.message_id, k.message_id) is null then 'record_gone'
        when coalesce(m.expires_at, k.expires_at) <= now then 'expired'
        when exists (
          select from postroad.suppression_list as s
          where s.address = case when m.channel = 'email' then lower(m.recipient) else coalesce(m.recipient, postroad.suppression_key(k.channel, k.recipient)) end
            and (s.channel is null or s.channel = coalesce(m.channel, k.channel))
            and (s.tenant_id is null or s.tenant_id = coalesce(m.tenant_id, k.tenant_id))
            and (s.expires_at is null or s.expires_at > now)
        ) then 'suppressed'
        when some_paused and postroad.pause_of(m, k) is not null then 'paused'
      end,
      case when some_paused then postroad.pause_of(m, k) end,
      coalesce(m.channel, k.channel), coalesce(m.message_type, k.message_type), coalesce(m.recipient, k.recipient),
      coalesce(m.content_id, k.content_id), coalesce(m.tenant_id, k.tenant_id),
      coalesce(m.ip_pool, k.ip_pool), coalesce(m.gateway, k.gateway),
      coalesce(m.subject, k.subject), coalesce(m.body, k.body), coalesce(m.html, k.html),
      coalesce(m.data, k.data), coalesce(m.options, k.options)
    from lease, picked as p
    left join postroad.messages as m on m.message_id = p.message_id
    left join postroad.messages_kept as k on m.message_id is null and k.message_id = p.message_id;

  when 2 then
    select s.last_value into queue_floor from postroad.queue_floor_p2 as s;
    return query
    with candidate as (
      select c.ctid as place, c.rescues, c.size_kb
      from postroad.message_queue_p2 as c
      where c.seq >= queue_floor
      order by c.seq
      limit claim.max_count
      for update skip locked
    ), counted as (
      select c.place,
        row_number() over upto as nth,
        sum(c.size_kb) over upto as total_kb,
        max(c.rescues) over upto as most_rescues
      from candidate as c
      window upto as (rows unbounded preceding)
    ), picked as materialized (
      delete from postroad.message_queue_p2 as q
      where q.ctid = any (array(
        select c.place
        from counted as c
        where c.nth = 1
          or c.total_kb <= claim.max_kb and c.most_rescues = 0
      ))
      returning q.message_id, q.attempt, q.rescues
    ), lease as (
      insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
      select claim.lease_id, claim.worker_id, 2, max(p.rescues), array_agg(p.message_id), array_agg(p.attempt)
      from picked as p
      having count(*) > 0
      returning 1
    )
    select p.message_id, p.attempt,
      case
        when coalesce(m.message_id, k.message_id) is null then 'record_gone'
        when coalesce(m.expires_at, k.expires_at) <= now then 'expired'
        when exists (
          select from postroad.suppression_list as s
          where s.address = case when m.channel = 'email' then lower(m.recipient) else coalesce(m.recipient, postroad.suppression_key(k.channel, k.recipient)) end
            and (s.channel is null or s.channel = coalesce(m.channel, k.channel))
            and (s.tenant_id is null or s.tenant_id = coalesce(m.tenant_id, k.tenant_id))
            and (s.expires_at is null or s.expires_at > now)
        ) then 'suppressed'
        when some_paused and postroad.pause_of(m, k) is not null then 'paused'
      end,
      case when some_paused then postroad.pause_of(m, k) end,
      coalesce(m.channel, k.channel), coalesce(m.message_type, k.message_type), coalesce(m.recipient, k.recipient),
      coalesce(m.content_id, k.content_id), coalesce(m.tenant_id, k.tenant_id),
      coalesce(m.ip_pool, k.ip_pool), coalesce(m.gateway, k.gateway),
      coalesce(m.subject, k.subject), coalesce(m.body, k.body), coalesce(m.html, k.html),
      coalesce(m.data, k.data), coalesce(m.options, k.options)
    from lease, picked as p
    left join postroad.messages as m on m.message_id = p.message_id
    left join postroad.messages_kept as k on m.message_id is null and k.message_id = p.message_id;

  when 3 then
    select s.last_value into queue_floor from postroad.queue_floor_p3 as s;
    return query
    with candidate as (
      select c.ctid as place, c.rescues, c.size_kb
      from postroad.message_queue_p3 as c
      where c.seq >= queue_floor
      order by c.seq
      limit claim.max_count
      for update skip locked
    ), counted as (
      select c.place,
        row_number() over upto as nth,
        sum(c.size_kb) over upto as total_kb,
        max(c.rescues) over upto as most_rescues
      from candidate as c
      window upto as (rows unbounded preceding)
    ), picked as materialized (
      delete from postroad.message_queue_p3 as q
      where q.ctid = any (array(
        select c.place
        from counted as c
        where c.nth = 1
          or c.total_kb <= claim.max_kb and c.most_rescues = 0
      ))
      returning q.message_id, q.attempt, q.rescues
    ), lease as (
      insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
      select claim.lease_id, claim.worker_id, 3, max(p.rescues), array_agg(p.message_id), array_agg(p.attempt)
      from picked as p
      having count(*) > 0
      returning 1
    )
    select p.message_id, p.attempt,
      case
        when coalesce(m.message_id, k.message_id) is null then 'record_gone'
        when coalesce(m.expires_at, k.expires_at) <= now then 'expired'
        when exists (
          select from postroad.suppression_list as s
          where s.address = case when m.channel = 'email' then lower(m.recipient) else coalesce(m.recipient, postroad.suppression_key(k.channel, k.recipient)) end
            and (s.channel is null or s.channel = coalesce(m.channel, k.channel))
            and (s.tenant_id is null or s.tenant_id = coalesce(m.tenant_id, k.tenant_id))
            and (s.expires_at is null or s.expires_at > now)
        ) then 'suppressed'
        when some_paused and postroad.pause_of(m, k) is not null then 'paused'
      end,
      case when some_paused then postroad.pause_of(m, k) end,
      coalesce(m.channel, k.channel), coalesce(m.message_type, k.message_type), coalesce(m.recipient, k.recipient),
      coalesce(m.content_id, k.content_id), coalesce(m.tenant_id, k.tenant_id),
      coalesce(m.ip_pool, k.ip_pool), coalesce(m.gateway, k.gateway),
      coalesce(m.subject, k.subject), coalesce(m.body, k.body), coalesce(m.html, k.html),
      coalesce(m.data, k.data), coalesce(m.options, k.options)
    from lease, picked as p
    left join postroad.messages as m on m.message_id = p.message_id
    left join postroad.messages_kept as k on m.message_id is null and k.message_id = p.message_id;

  when 4 then
    select s.last_value into queue_floor from postroad.queue_floor_p4 as s;
    return query
    with candidate as (
      select c.ctid as place, c.rescues, c.size_kb
      from postroad.message_queue_p4 as c
      where c.seq >= queue_floor
      order by c.seq
      limit claim.max_count
      for update skip locked
    ), counted as (
      select c.place,
        row_number() over upto as nth,
        sum(c.size_kb) over upto as total_kb,
        max(c.rescues) over upto as most_rescues
      from candidate as c
      window upto as (rows unbounded preceding)
    ), picked as materialized (
      delete from postroad.message_queue_p4 as q
      where q.ctid = any (array(
        select c.place
        from counted as c
        where c.nth = 1
          or c.total_kb <= claim.max_kb and c.most_rescues = 0
      ))
      returning q.message_id, q.attempt, q.rescues
    ), lease as (
      insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
      select claim.lease_id, claim.worker_id, 4, max(p.rescues), array_agg(p.message_id), array_agg(p.attempt)
      from picked as p
      having count(*) > 0
      returning 1
    )
    select p.message_id, p.attempt,
      case
        when coalesce(m.message_id, k.message_id) is null then 'record_gone'
        when coalesce(m.expires_at, k.expires_at) <= now then 'expired'
        when exists (
          select from postroad.suppression_list as s
          where s.address = case when m.channel = 'email' then lower(m.recipient) else coalesce(m.recipient, postroad.suppression_key(k.channel, k.recipient)) end
            and (s.channel is null or s.channel = coalesce(m.channel, k.channel))
            and (s.tenant_id is null or s.tenant_id = coalesce(m.tenant_id, k.tenant_id))
            and (s.expires_at is null or s.expires_at > now)
        ) then 'suppressed'
        when some_paused and postroad.pause_of(m, k) is not null then 'paused'
      end,
      case when some_paused then postroad.pause_of(m, k) end,
      coalesce(m.channel, k.channel), coalesce(m.message_type, k.message_type), coalesce(m.recipient, k.recipient),
      coalesce(m.content_id, k.content_id), coalesce(m.tenant_id, k.tenant_id),
      coalesce(m.ip_pool, k.ip_pool), coalesce(m.gateway, k.gateway),
      coalesce(m.subject, k.subject), coalesce(m.body, k.body), coalesce(m.html, k.html),
      coalesce(m.data, k.data), coalesce(m.options, k.options)
    from lease, picked as p
    left join postroad.messages as m on m.message_id = p.message_id
    left join postroad.messages_kept as k on m.message_id is null and k.message_id = p.message_id;

  end case;
end;
$$;

--
-- Name: FUNCTION claim(priority smallint, lease_id uuid, worker_id bigint, max_count integer, max_kb integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.claim(priority smallint, lease_id uuid, worker_id bigint, max_count integer, max_kb integer) IS 'Takes the oldest messages of a priority out of the queue, at most max_count and max_kb KiB (but one at least), under lease_id, which the caller made.
A message that was rescued from a dead worker is claimed alone. Each row is a message with a verdict: null means send it; expired, suppressed, paused (see pause_id) and
record_gone mean that its outcome must be completed without a send. content_id names the shared content of a bulk send; see fetch_contents.
Raises PR010 when worker_id is not registered. On any error the caller calls release(lease_id): the claim may have been committed.';

--
-- Name: complete(uuid[], uuid[], text[], smallint[], text[], text[], text[], jsonb[], double precision[], boolean[], bigint[], uuid[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.complete(lease_ids uuid[], message_ids uuid[], event_types text[], attempts smallint[], gateways text[], external_ids text[], reasons text[], details jsonb[], retry_seconds double precision[], counted boolean[], pause_ids bigint[], finished uuid[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  held uuid[];
  given uuid[] := array(select distinct u.id from unnest(lease_ids) as u (id));
begin
  held := array(
    select l.lease_id
    from postroad.leases as l
    where l.lease_id = any (given)
    order by l.lease_id
    for share                                    -- against a rescue at the same time
  );

  if cardinality(retry_seconds) = 0 and cardinality(held) = cardinality(given) then
    -- Nearly always all of them are new: an insert that need not look for conflicts costs a third less, and 48 bytes of WAL a message.
    begin
      insert into postroad.delivery_events (message_id, lease_id, event_type, attempt, gateway, external_id, reason, bounce_type, detail)
      select u.message_id, u.lease_id, u.event_type, u.attempt, u.gateway, u.external_id, u.reason,
        case when u.event_type = 'bounced' then 'hard' end, u.detail
      from unnest(message_ids, lease_ids, event_types, attempts, gateways, external_ids, reasons, details)
        as u (message_id, lease_id, event_type, attempt, gateway, external_id, reason, detail);
    exception
      when unique_violation then                 -- called again after a lost reply
        insert into postroad.delivery_events (message_id, lease_id, event_type, attempt, gateway, external_id, reason, bounce_type, detail)
        select u.message_id, u.lease_id, u.event_type, u.attempt, u.gateway, u.external_id, u.reason,
          case when u.event_type = 'bounced' then 'hard' end, u.detail
        from unnest(message_ids, lease_ids, event_types, attempts, gateways, external_ids, reasons, details)
          as u (message_id, lease_id, event_type, attempt, gateway, external_id, reason, detail)
        on conflict do nothing;
    end;
  else
    perform from postroad.pauses as x where x.pause_id = any (pause_ids) order by x.pause_id for share;   -- a resume waits, then finds what is parked here
    with outcome as materialized (
      select u.*
      from unnest(message_ids, lease_ids, event_types, attempts, gateways, external_ids, reasons, details, retry_seconds, counted, pause_ids)
        as u (message_id, lease_id, event_type, attempt, gateway, external_id, reason, detail, retry_seconds, counted, pause_id)
    ), recorded as (
      insert into postroad.delivery_events (message_id, lease_id, event_type, attempt, gateway, external_id, reason, bounce_type, detail)
      select o.message_id, o.lease_id, o.event_type, case when o.counted is not false then o.attempt end, o.gateway, o.external_id, o.reason,
        case when o.event_type = 'bounced' then 'hard' end, o.detail
      from outcome as o
      on conflict do nothing
      returning message_id, lease_id, event_type
    ), retried as (
      insert into postroad.scheduled (message_id, due_at, pause_id, priority, attempt)
      select o.message_id,
        case when x.pause_id is not null then 'infinity' else clock_timestamp() + make_interval(secs => o.retry_seconds) end,
        x.pause_id, l.priority, case when o.counted then o.attempt else o.attempt - 1 end
      from recorded as r
      join outcome as o using (message_id, lease_id)
      join postroad.leases as l on l.lease_id = o.lease_id
      left join postroad.pauses as x on x.pause_id = o.pause_id
      where o.retry_seconds is not null
        and o.lease_id = any (held)
      on conflict do nothing
    ), withdrawn as (                            -- its lease was rescued, yet it went out: the requeued row, if unclaimed, goes
      select r.message_id
      from recorded as r
      where r.lease_id <> all (held)
        and r.event_type <> 'deferred'
    ), from_queue as (
      delete from postroad.message_queue as q
      using withdrawn as w
      where q.message_id = w.message_id
    )
    delete from postroad.scheduled as s
    using withdrawn as w
    where s.message_id = w.message_id;
  end if;

  if cardinality(finished) > 0 then
    delete from postroad.leases as l where l.lease_id = any (finished);
    delete from postroad.intents as i where i.lease_id = any (finished);
  end if;
end;
$$;

--
-- Name: FUNCTION complete(lease_ids uuid[], message_ids uuid[], event_types text[], attempts smallint[], gateways text[], external_ids text[], reasons text[], details jsonb[], retry_seconds double precision[], counted boolean[], pause_ids bigint[], finished uuid[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.complete(lease_ids uuid[], message_ids uuid[], event_types text[], attempts smallint[], gateways text[], external_ids text[], reasons text[], details jsonb[], retry_seconds double precision[], counted boolean[], pause_ids bigint[], finished uuid[]) IS 'Records the outcomes of claimed messages, one element of each array an outcome (an array that is null throughout may be empty): an event of its type, and where retry_seconds
is given another attempt after so long; counted false: this attempt does not count (a fault of the gateway, a pause); pause_ids: parked until that pause is resumed.
finished: leases whose messages all have an outcome. May be called again after an error: what is recorded already stays as it is. Outcomes of a lease that was rescued
meanwhile are recorded; their retries are not.';

--
-- Name: create_partitions(integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.create_partitions(days_ahead integer DEFAULT 3) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET lock_timeout TO '100ms'
    AS $_$
declare
  parent text;
  part text;
  lower_bound uuid;
  upper_bound uuid;
  id_column text;
  fallback text;
  days date[];
  day date;
  created integer := 0;
begin
  for parent, id_column, fallback in
    values ('messages', 'message_id', 'messages_default'), ('contents', 'content_id', 'contents_default'), ('delivery_events', 'message_id', 'late_events')
  loop
    -- The days to come, and those of which something landed in the default partition. Events stay late ones unless their message has a day.
    if parent = 'delivery_events' then
      days := array(
        select d.day
        from pg_class as c, lateral (select to_date(right(c.relname, 8), 'YYYYMMDD')) as d (day)
        where c.relnamespace = 'postroad'::regnamespace
          and c.relname ~ '^messages_[0-9]{8}$'
          and exists (
            select from postroad.late_events as e
            where e.message_id >= postroad.uuid_at(d.day) and e.message_id < postroad.uuid_at(d.day + 1)
          )
      );
    else
      execute format('select array(select distinct postroad.created_at(x.%I)::date from postroad.%I as x)', id_column, fallback) into days;
    end if;
    for day in
      select x.day from (
        select unnest(days) union select current_date + n from generate_series(0, days_ahead) as n
      ) as x (day)
      order by 1
    loop
      part := parent || '_' || to_char(day, 'YYYYMMDD');
      continue when to_regclass('postroad.' || part) is not null;
      lower_bound := postroad.uuid_at(day);
      upper_bound := postroad.uuid_at(day + 1);
      execute format('create table postroad.%I (like postroad.%I including all)', part, parent);
      execute format('comment on table postroad.%I is %L', part, 'One day of ' || parent || '.');
      -- What landed in the default partition moves to its day: the default is taken off, so that nothing comes in between, and put back.
      execute format('alter table postroad.%I detach partition postroad.%I', parent, fallback);
      execute format(
        'with moved as (delete from postroad.%I where %I >= %L and %2$I < %4$L returning *) insert into postroad.%5$I select * from moved',
        fallback, id_column, lower_bound, upper_bound, part);
      execute format('alter table postroad.%I attach partition postroad.%I for values from (%L) to (%L)', parent, part, lower_bound, upper_bound);
      execute format('alter table postroad.%I attach partition postroad.%I default', parent, fallback);
      created := created + 1;
    end loop;
  end loop;
  return created;
end;
$_$;

--
-- Name: FUNCTION create_partitions(days_ahead integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.create_partitions(days_ahead integer) IS 'Makes the partitions of today and days_ahead days (UTC), and of past days of which the default partition caught something, where they are missing, and moves that into them. Returns how many it made.
Waits 100 ms for a lock at most, so that no enqueue waits longer for it: on lock_not_available, call it again.';

--
-- Name: created_at(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.created_at(id uuid) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select to_timestamp(('x0000' || left(id::text, 8) || substr(id::text, 10, 4))::bit(64)::bigint / 1000.0)
$$;

--
-- Name: FUNCTION created_at(id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.created_at(id uuid) IS 'When a UUIDv7 was made, to the millisecond.';

--
-- Name: dead_workers(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.dead_workers() RETURNS SETOF bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  if clock_timestamp() - pg_postmaster_start_time() < '5 seconds' then
    return;                                      -- workers are still connecting again
  end if;
  return query
  with held as materialized (
    select h.worker_id from postroad.held_worker_ids() as h (worker_id)
  )
  select w.worker_id
  from postroad.worker_sessions as w
  where w.worker_id not in (select h.worker_id from held as h)
    or w.heartbeat_at < clock_timestamp() - interval '15 seconds'
  union
  select l.worker_id                             -- a claim that committed after its worker was rescued
  from postroad.leases as l
  where not exists (select from postroad.worker_sessions as w where w.worker_id = l.worker_id)
    and l.worker_id not in (select h.worker_id from held as h);
end;
$$;

--
-- Name: FUNCTION dead_workers(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.dead_workers() IS 'Workers whose advisory lock is free, or whose heartbeat is older than 15 s. A worker that is in two looks one second apart is dead: see rescue. None in the first
5 s of a server: workers are still connecting again.';

--
-- Name: drop_partitions(interval); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.drop_partitions(retention interval) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET lock_timeout TO '100ms'
    AS $_$
declare
  day text;
  bound uuid;
  upper_bound uuid;
  dropped integer := 0;
begin
  if retention < '1 day' then
    raise exception 'retention must be a day at least, got %', retention
      using errcode = 'PR001';
  end if;
  for day in
    select substr(c.relname, 10)
    from pg_class as c
    where c.relnamespace = 'postroad'::regnamespace
      and c.relname ~ '^messages_[0-9]{8}$'
      and to_date(substr(c.relname, 10), 'YYYYMMDD') + 1 <= (clock_timestamp() - retention)::date
    order by 1
  loop
    bound := postroad.uuid_at(to_date(day, 'YYYYMMDD'));
    upper_bound := postroad.uuid_at(to_date(day, 'YYYYMMDD') + 1);
    -- The locks first, in the order of enqueue: what is copied is then all there is.
    execute format('lock table postroad.messages, postroad.contents, postroad.delivery_events in access exclusive mode');
    -- From the few that wait to their records, not from the many records to see whether they wait: one look at each place, in one snapshot.
    insert into postroad.messages_kept
    select m.*
    from postroad.messages as m
    where m.message_id in (
      select s.message_id from postroad.scheduled as s where s.message_id >= bound and s.message_id < upper_bound
      union all
      select q.message_id from postroad.message_queue as q where q.message_id >= bound and q.message_id < upper_bound
      union all
      select u.id from postroad.leases as l, unnest(l.message_ids) as u (id) where u.id >= bound and u.id < upper_bound
    )
      and m.message_id >= bound
      and m.message_id < upper_bound
    on conflict do nothing;
    insert into postroad.contents_kept
    select c.*
    from postroad.contents as c
    where c.content_id in (select k.content_id from postroad.messages_kept as k)
      and c.content_id >= bound
      and c.content_id < upper_bound
    on conflict do nothing;
    execute format('drop table postroad.%I', 'messages_' || day);
    execute format('drop table if exists postroad.%I', 'contents_' || day);
    execute format('drop table if exists postroad.%I', 'delivery_events_' || day);
    dropped := dropped + 1;
    exit;                                        -- one day a call: the locks are held as shortly as can be
  end loop;
  return dropped;
end;
$_$;

--
-- Name: FUNCTION drop_partitions(retention interval); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.drop_partitions(retention interval) IS 'Drops the oldest day of messages, contents and events that is past retention (at least a day); records that still wait are copied to messages_kept and contents_kept first.
Returns how many days it dropped, at most one. Waits 100 ms for a lock at most: on lock_not_available, call it again. Raises PR001 when retention is under a day.';

--
-- Name: enqueue(text, text, text, text, text, text, jsonb, text, text, text, timestamp with time zone, timestamp with time zone, text, text, bigint, text, bigint, bigint, text, text, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.enqueue(channel text, recipient text, subject text DEFAULT NULL::text, body text DEFAULT NULL::text, html text DEFAULT NULL::text, template text DEFAULT NULL::text, data jsonb DEFAULT NULL::jsonb, locale text DEFAULT NULL::text, message_type text DEFAULT 'transactional'::text, priority text DEFAULT NULL::text, scheduled_for timestamp with time zone DEFAULT NULL::timestamp with time zone, expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone, idempotency_key text DEFAULT NULL::text, recipient_type text DEFAULT NULL::text, recipient_id bigint DEFAULT NULL::bigint, source_type text DEFAULT NULL::text, source_id bigint DEFAULT NULL::bigint, tenant_id bigint DEFAULT NULL::bigint, ip_pool text DEFAULT NULL::text, gateway text DEFAULT NULL::text, options jsonb DEFAULT NULL::jsonb, OUT message_id uuid, OUT status text, OUT reason text) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  p smallint;
  normalized text collate "C";
  is_listed boolean;
begin
  -- Each call is a transaction of its own, most often, and each expression is set up anew in it: so the plain case is told by one expression,
  -- and what it does not need is not looked at.
  if num_nulls(priority, template, data, options, idempotency_key, scheduled_for, expires_at) = 7
    and channel in ('email', 'sms') and octet_length(body) < 100000
    and (html is null or channel = 'email' and octet_length(html) < 100000)
    and (subject is null or octet_length(subject) <= 998 and subject = translate(subject, E'\r\n', ''))
  then
    p := case message_type
      when 'transactional' then 4 when 'campaign' then 3 when 'newsletter' then 2 when 'alert' then 1 when 'emergency' then 0
    end;
  end if;
  if p is null then
    select c.priority_number, c.reason into p, reason
    from postroad.check_call(channel, message_type, priority, subject, body, html, template, data,
      scheduled_for, expires_at, tenant_id, idempotency_key, options) as c;
  end if;
  if reason is null then
    if channel = 'email' and octet_length(recipient) <= 64
      and recipient ~ '^[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]*[a-z0-9])?$' then
      normalized := recipient;                      -- plain, and spelled as normalize_email spells it
    else
      normalized := postroad.normalize_recipient(channel, recipient);
    end if;
    if normalized is null then
      reason := case when btrim(recipient) <> '' then 'invalid_recipient' else 'recipient_missing' end;
    end if;
  end if;
  if reason is not null then
    status := 'invalid';
    return;
  end if;

  message_id := postroad.uuid_v7();
  if idempotency_key is not null then
    select k.message_id, k.verdict, k.reason into message_id, status, reason
    from postroad.use_idempotency_key(tenant_id, idempotency_key, message_id, jsonb_build_array(
      channel, normalized, subject, body, html, data, locale, message_type, p, scheduled_for, expires_at,
      recipient_type, recipient_id, source_type, source_id, ip_pool, gateway, options)) as k;
    if status is not null then
      return;
    end if;
  end if;

  insert into postroad.messages (
    message_id, tenant_id, recipient_id, source_id, scheduled_for, expires_at, priority, channel, message_type,
    recipient, recipient_type, source_type, ip_pool, gateway, locale, subject, body, html, data, options)
  values (
    message_id, tenant_id, recipient_id, source_id, scheduled_for, expires_at, p, channel, message_type,
    normalized, recipient_type, source_type, ip_pool, gateway, locale, subject, body, html, data, options)
  returning (                                    -- the cheapest of probes; few addresses are on the list at all
    select true
    from postroad.suppression_list as s
    where s.address = case enqueue.channel when 'email' then lower(normalized) else normalized end
    limit 1
  ) into is_listed;
  if is_listed then
    reason := postroad.suppressed_by(channel, normalized, tenant_id);
  end if;

  if reason is not null then
    insert into postroad.delivery_events (message_id, event_type, reason)
    values (message_id, 'suppressed', reason);
    status := 'suppressed';
    return;
  elsif scheduled_for is not null and scheduled_for > clock_timestamp() then
    insert into postroad.scheduled (message_id, due_at, priority)
    values (message_id, scheduled_for, p);
    status := 'scheduled';
    return;
  end if;

  insert into postroad.message_queue (seq, message_id, priority, size_kb)
  values (
    case p
      when 0 then nextval('postroad.queue_seq_p0')
      when 1 then nextval('postroad.queue_seq_p1')
      when 2 then nextval('postroad.queue_seq_p2')
      when 3 then nextval('postroad.queue_seq_p3')
      when 4 then nextval('postroad.queue_seq_p4')
    end,
    message_id, p,
    least((coalesce(octet_length(body), 0)::bigint + coalesce(octet_length(html), 0)
      + coalesce(pg_column_size(data), 0) + coalesce(pg_column_size(options), 0)) / 1024, 32767));
  status := 'queued';

  -- As postroad.wake, without the call.
  if current_setting('postroad.notify', true) = 'off'
    or pg_try_advisory_lock_shared(1886351220, 20 + p) and pg_advisory_unlock_shared(1886351220, 20 + p) then
    return;                                      -- nobody sleeps
  elsif pg_try_advisory_lock_shared(1886351220, 10 + p) and pg_advisory_unlock_shared(1886351220, 10 + p) then
    perform pg_notify('postroad_p' || p, '');    -- somebody sleeps, and nobody is awake
  end if;
end;
$_$;

--
-- Name: FUNCTION enqueue(channel text, recipient text, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, recipient_type text, recipient_id bigint, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT message_id uuid, OUT status text, OUT reason text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.enqueue(channel text, recipient text, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, recipient_type text, recipient_id bigint, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT message_id uuid, OUT status text, OUT reason text) IS 'Enqueues one message in the caller''s transaction: it goes out if and only if that commits.

channel: email, sms, push, voice, in_app, webhook. recipient: see postroad.normalize_recipient.
subject (at most 998 characters), body (plain text), html (email only): literal, no templating in them. template, locale: reserved. data: what push, in_app and
webhook carry as JSON. message_type: transactional (default), emergency, alert, newsletter, campaign; gives the priority unless priority is given
(P0 emergency, P1 alert, P2 newsletter, P3 campaign, P4 transactional). scheduled_for: not before (default: now). expires_at: not after (default: never).
idempotency_key: up to 255 characters, remembered 7 days for each tenant. recipient_type, recipient_id, source_type, source_id, tenant_id: yours, kept with the message.
ip_pool, gateway: instead of the configured ones. options: from, reply_to, cc, bcc, headers, tags, attachments, on_unknown, max_attempts, push, sms, voice.

Returns message_id, status and reason. status: queued, scheduled, suppressed (recorded, not sent; reason says why), duplicate (the key was seen: message_id is the first
one), invalid (nothing was recorded; reason says what is wrong with the data; key_reused: the key was seen with another message).
Raises PR002 (unknown channel, message type or priority), PR003 (content missing or unfit for the channel), PR004 (unknown template), PR005 (options).';

--
-- Name: enqueue_bulk(text, jsonb, text, text, text, text, jsonb, text, text, text, timestamp with time zone, timestamp with time zone, text, text, bigint, bigint, text, text, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.enqueue_bulk(channel text, recipients jsonb, subject text DEFAULT NULL::text, body text DEFAULT NULL::text, html text DEFAULT NULL::text, template text DEFAULT NULL::text, data jsonb DEFAULT NULL::jsonb, locale text DEFAULT NULL::text, message_type text DEFAULT 'campaign'::text, priority text DEFAULT NULL::text, scheduled_for timestamp with time zone DEFAULT NULL::timestamp with time zone, expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone, idempotency_key text DEFAULT NULL::text, source_type text DEFAULT NULL::text, source_id bigint DEFAULT NULL::bigint, tenant_id bigint DEFAULT NULL::bigint, ip_pool text DEFAULT NULL::text, gateway text DEFAULT NULL::text, options jsonb DEFAULT NULL::jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET work_mem TO '64MB'
    SET jit TO 'off'
    AS $$
declare
  p smallint;
  total integer;
  verdict text;
  rejected integer;
begin
  if jsonb_typeof(recipients) is distinct from 'array' then
    raise exception 'recipients must be a JSON array, got %', coalesce(jsonb_typeof(recipients), 'null')
      using errcode = 'PR001', hint = 'Such as [{"address": "ada@example.org", "id": 1, "data": {"name": "Ada"}}].';
  end if;
  total := jsonb_array_length(recipients);
  queued := 0;
  suppressed := 0;
  invalid := 0;
  duplicate := 0;
  select b.batch_id, b.priority_number, b.verdict, b.reason into batch_id, p, verdict, reason
  from postroad.begin_bulk(channel, subject, body, html, template, data, message_type, priority, scheduled_for, expires_at,
    idempotency_key, tenant_id, options,
    case when idempotency_key is not null then jsonb_build_array(
      sha256(convert_to(recipients::text, 'UTF8')), locale, source_type, source_id, ip_pool, gateway) end) as b;
  if verdict = 'duplicate' then
    duplicate := total;
    return;
  elsif verdict = 'invalid' then
    invalid := total;
    return;
  elsif total = 0 then
    return;
  end if;

  select r.queued, r.suppressed, r.invalid, r.duplicate into queued, suppressed, invalid, duplicate
  from (
    select array_agg(case when f.has_good_id then f.address end) as addresses,
      array_agg(case when f.has_good_id then f.id::bigint end) as ids,
      array_agg(f.type) as types, array_agg(f.locale) as locales, array_agg(f.data) as data
    from (
      select case jsonb_typeof(e.item) when 'string' then e.item #>> '{}' else e.item ->> 'address' end as address,
        e.item ->> 'type' as type, e.item ->> 'locale' as locale, nullif(e.item -> 'data', 'null') as data, i.id,
        postroad.is_bigint(i.id) as has_good_id
      from jsonb_array_elements(recipients) as e (item),
        lateral (select e.item ->> 'id' offset 0) as i (id)
    ) as f
  ) as a,
  lateral postroad.enqueue_rows(batch_id, channel, a.addresses, a.ids, a.types, a.locales, a.data, message_type, p, scheduled_for,
    expires_at, source_type, source_id, tenant_id, ip_pool, gateway, locale) as r;
end;
$$;

--
-- Name: FUNCTION enqueue_bulk(channel text, recipients jsonb, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.enqueue_bulk(channel text, recipients jsonb, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text) IS 'Enqueues one content for many recipients in the caller''s transaction, set-based: subject, body, html, data and options are stored once.

recipients: a JSON array of addresses, or of objects {"address", "id", "type", "data", "locale"}, up to what jsonb holds (256 MB; beyond that see enqueue_bulk_from).
message_type: campaign by default. The other arguments are those of postroad.enqueue; idempotency_key is for the call as a whole.

Returns batch_id and how many recipients were queued (or scheduled), suppressed (recorded, not sent), invalid (no such address, or an id that is no integer) and duplicate
(an address that is twice in the call; or all of them, with the first batch_id, when the key was seen). reason is set when the whole call is invalid: see enqueue.
Raises PR001 when recipients is not an array, and what enqueue raises.';

--
-- Name: enqueue_bulk_from(text, regclass, text, text, text, text, jsonb, text, text, text, timestamp with time zone, timestamp with time zone, text, text, bigint, bigint, text, text, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.enqueue_bulk_from(channel text, recipients regclass, subject text DEFAULT NULL::text, body text DEFAULT NULL::text, html text DEFAULT NULL::text, template text DEFAULT NULL::text, data jsonb DEFAULT NULL::jsonb, locale text DEFAULT NULL::text, message_type text DEFAULT 'campaign'::text, priority text DEFAULT NULL::text, scheduled_for timestamp with time zone DEFAULT NULL::timestamp with time zone, expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone, idempotency_key text DEFAULT NULL::text, source_type text DEFAULT NULL::text, source_id bigint DEFAULT NULL::bigint, tenant_id bigint DEFAULT NULL::bigint, ip_pool text DEFAULT NULL::text, gateway text DEFAULT NULL::text, options jsonb DEFAULT NULL::jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET work_mem TO '64MB'
    SET jit TO 'off'
    SET enable_seqscan TO 'off'
    AS $_$
declare
  p smallint;
  verdict text;
  columns jsonb;
  parts record;
  slice_pages integer;
begin
  select jsonb_object_agg(a.attname, a.atttypid::regtype) into columns
  from pg_attribute as a
  where a.attrelid = recipients and a.attnum > 0 and not a.attisdropped;
  -- The table, its partitions and its heirs.
  with recursive part as (
    select recipients::oid as id
    union all
    select i.inhrelid from part, pg_inherits as i where i.inhparent = part.id
  )
  select bool_and(c.relkind in ('r', 'p', 'm')) as are_tables, max(pg_relation_size(part.id)) / current_setting('block_size')::integer as pages,
    sum(pg_relation_size(part.id)) / current_setting('block_size')::integer as all_pages, sum(pg_table_size(part.id)) as bytes,
    count(*) filter (where c.relkind <> 'p') as count
  into parts
  from part
  join pg_class as c on c.oid = part.id;
  if parts.are_tables is not true then
    raise exception '% is not a table', coalesce(recipients::text, 'null')
      using errcode = 'PR001', hint = 'Make a temporary table of it: create temporary table … as select …';
  end if;
  if (columns ? 'address') is not true then
    raise exception 'table % has no column address', recipients
      using errcode = 'PR001', hint = 'Columns: address text, and if wanted id bigint, type text, data jsonb, locale text.';
  end if;
  queued := 0;
  suppressed := 0;
  invalid := 0;
  duplicate := 0;
  select b.batch_id, b.priority_number, b.verdict, b.reason into batch_id, p, verdict, reason
  from postroad.begin_bulk(channel, subject, body, html, template, data, message_type, priority, scheduled_for, expires_at,
    idempotency_key, tenant_id, options,
    case when idempotency_key is not null then jsonb_build_array(
      recipients::text, locale, source_type, source_id, ip_pool, gateway) end) as b;
  if verdict is not null then
    if verdict = 'duplicate' then
      execute format('select count(*) from %s', recipients) into duplicate;
    else
      execute format('select count(*) from %s', recipients) into invalid;
    end if;
    return;
  end if;

  -- Slices of so many pages that one holds some 16 MiB, out of line values included: neither arrays nor sorts grow with the table.
  slice_pages := greatest(least(16 * 1024 * 1024 / greatest(parts.bytes / greatest(parts.all_pages, 1), 1), 256) / greatest(parts.count, 1), 1);
  -- One statement, and so one snapshot: a row that somebody moves meanwhile is not seen twice. An address that is twice in the table is sent
  -- to once: a narrow pass finds the keys that repeat (usually none), and only then another one looks for the rows to pass over.
  execute format($q$
    with repeated as materialized (
      select %1$s as key from %2$s as t where t.address is not null group by 1 having count(*) > 1
    ), copy as materialized (
      select n.part, n.place, (n.place::text::point)[0]::bigint / $1 as slice
      from (
        select t.tableoid as part, t.ctid as place, a.address,
          row_number() over (partition by a.address order by t.tableoid, t.ctid) as nth
        from %2$s as t, lateral (select postroad.normalize_recipient($3, t.address::text) offset 0) as a (address)
        where exists (select from repeated)      -- else the table is not read for it
          and %1$s in (select r.key from repeated as r)
          and %3$s
      ) as n
      where n.nth > 1
        and n.address is not null
    ), done as (
      select e.*
      from generate_series(0, $2) as s (slice),
      lateral (
        select array_agg(case when %3$s then t.address::text end) as addresses, array_agg(%4$s) as ids, array_agg(%5$s) as types,
          array_agg(%6$s) as locales, array_agg(%7$s) as data
        from %2$s as t
        where t.ctid >= ('(' || s.slice * $1 || ',0)')::tid
          and t.ctid < case when s.slice < $2 then '(' || (s.slice + 1) * $1 || ',0)' else '(4294967295,0)' end::tid
          and (t.tableoid, t.ctid) not in (select c.part, c.place from copy as c where c.slice = s.slice)
      ) as r,
      lateral postroad.enqueue_rows($4, $3, r.addresses, r.ids, r.types, r.locales, r.data, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) as e
      where r.addresses is not null
    )
    select coalesce(sum(d.queued), 0), coalesce(sum(d.suppressed), 0), coalesce(sum(d.invalid), 0),
      coalesce(sum(d.duplicate), 0) + (select count(*) from copy)
    from done as d
  $q$,
    'hashtextextended(' || case                  -- equal for addresses that are one when normalised
      when channel = 'email' then $e$lower(btrim(t.address::text, E' \t\r\n'))$e$
      when channel in ('sms', 'voice') then $e$regexp_replace(regexp_replace(t.address::text, '[ ().-]', '', 'g'), '^00', '+')$e$
      else 'btrim(t.address::text)'
    end || ', 0)',
    recipients,
    case
      when columns ->> 'id' in ('smallint', 'integer', 'bigint') or not columns ? 'id' then 'true'
      else 'postroad.is_bigint(t.id::text)'
    end,
    case
      when not columns ? 'id' then 'null::bigint'
      when columns ->> 'id' in ('smallint', 'integer', 'bigint') then 't.id::bigint'
      else 'case when postroad.is_bigint(t.id::text) then t.id::text::bigint end'
    end,
    case when columns ? 'type' then 't.type::text' else 'null::text' end,
    case when columns ? 'locale' then 't.locale::text' else 'null::text' end,
    case when columns ? 'data' then 't.data::jsonb' else 'null::jsonb' end)
  into queued, suppressed, invalid, duplicate
  using slice_pages, (parts.pages - 1) / slice_pages, channel, batch_id, message_type, p, scheduled_for, expires_at, source_type, source_id, tenant_id,
    ip_pool, gateway, locale;
end;
$_$;

--
-- Name: FUNCTION enqueue_bulk_from(channel text, recipients regclass, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.enqueue_bulk_from(channel text, recipients regclass, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text) IS 'postroad.enqueue_bulk with the recipients in a table (temporary ones too) of the caller''s, of any size: columns address, and if wanted id, type, data, locale.
The fastest way in, and the one beyond the 256 MB that jsonb holds. An idempotency key stands for the call and the table''s name, not for its rows.
It is read in slices of some 16 MiB, so that memory does not grow with it. Raises PR001 when it is not a table or has no column address, and what enqueue raises.';

--
-- Name: enqueue_rows(uuid, text, text[], bigint[], text[], text[], jsonb[], text, smallint, timestamp with time zone, timestamp with time zone, text, bigint, bigint, text, text, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.enqueue_rows(batch_id uuid, channel text, addresses text[], ids bigint[], types text[], locales text[], data jsonb[], message_type text, priority smallint, scheduled_for timestamp with time zone, expires_at timestamp with time zone, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, locale text, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET work_mem TO '64MB'
    SET jit TO 'off'
    AS $$
declare
  first_id constant text := postroad.uuid_v7();  -- the ids of a call count up from a random one (RFC 9562, section 6.2, method 2)
  prefix constant text := left(first_id, 24);
  start constant bigint := ('x00000' || right(first_id, 11))::bit(64)::bigint;
  average_kb constant smallint := postroad.size_kb(pg_column_size(data)::bigint / greatest(cardinality(data), 1));
  later constant boolean := coalesce(scheduled_for > clock_timestamp(), false);
  normalized text[];
  reasons text[];
  valid integer;
  distinct_valid integer;
begin
  select array_agg(r.address), array_agg(r.reason), count(r.address), count(distinct r.address), count(r.reason)
  into normalized, reasons, valid, distinct_valid, suppressed
  from (
    select n.address, (                          -- one index probe a recipient, however long the list is
      select s.reason
      from postroad.suppression_list as s
      where s.address = case enqueue_rows.channel when 'email' then lower(n.address) else n.address end
        and (s.channel is null or s.channel = enqueue_rows.channel)
        and (s.tenant_id is null or s.tenant_id = enqueue_rows.tenant_id)
        and (s.expires_at is null or s.expires_at > clock_timestamp())
      limit 1
    ) as reason
    from (
      select postroad.normalize_recipient(enqueue_rows.channel, u.address) collate "C" as address
      from unnest(addresses) as u (address)
      offset 0                                   -- normalised once
    ) as n
    offset 0
  ) as r;
  invalid := cardinality(addresses) - valid;
  duplicate := valid - distinct_valid;

  if duplicate > 0 then                          -- the first of those with the same address stays
    select array_agg(case when u.nth = u.first_nth then u.address end order by u.nth),
      array_agg(case when u.nth = u.first_nth then u.reason end order by u.nth),
      count(u.reason) filter (where u.nth = u.first_nth)
    into normalized, reasons, suppressed
    from (
      select x.address, x.reason, x.nth, min(x.nth) over (partition by x.address) as first_nth
      from unnest(normalized, reasons) with ordinality as x (address, reason, nth)
    ) as u;
  end if;

  insert into postroad.messages (
    message_id, tenant_id, recipient_id, source_id, scheduled_for, expires_at, content_id, batch_id, priority,
    channel, message_type, recipient, recipient_type, source_type, ip_pool, gateway, locale, data)
  select (prefix || lpad(to_hex(start + u.nth), 12, '0'))::uuid, enqueue_rows.tenant_id, u.id, enqueue_rows.source_id,
    enqueue_rows.scheduled_for, enqueue_rows.expires_at, enqueue_rows.batch_id, enqueue_rows.batch_id, enqueue_rows.priority,
    enqueue_rows.channel, enqueue_rows.message_type, u.address, u.type, enqueue_rows.source_type, enqueue_rows.ip_pool,
    enqueue_rows.gateway, coalesce(u.locale, enqueue_rows.locale), u.data
  from unnest(normalized, ids, types, locales, enqueue_rows.data) with ordinality as u (address, id, type, locale, data, nth)
  where u.address is not null;

  if suppressed > 0 then
    insert into postroad.delivery_events (message_id, event_type, reason)
    select (prefix || lpad(to_hex(start + u.nth), 12, '0'))::uuid, 'suppressed', u.reason
    from unnest(reasons) with ordinality as u (reason, nth)
    where u.reason is not null;
  end if;

  if later then
    insert into postroad.scheduled (message_id, due_at, priority)
    select (prefix || lpad(to_hex(start + u.nth), 12, '0'))::uuid, enqueue_rows.scheduled_for, enqueue_rows.priority
    from unnest(normalized, reasons) with ordinality as u (address, reason, nth)
    where u.address is not null
      and u.reason is null;
  else
    insert into postroad.message_queue (seq, message_id, priority, size_kb)
    select postroad.next_seq(enqueue_rows.priority), (prefix || lpad(to_hex(start + u.nth), 12, '0'))::uuid, enqueue_rows.priority,
      average_kb
    from unnest(normalized, reasons) with ordinality as u (address, reason, nth)
    where u.address is not null
      and u.reason is null;
  end if;
  get diagnostics queued = row_count;

  if queued > 0 and not later then
    perform postroad.wake(priority);
  end if;
end;
$$;

--
-- Name: FUNCTION enqueue_rows(batch_id uuid, channel text, addresses text[], ids bigint[], types text[], locales text[], data jsonb[], message_type text, priority smallint, scheduled_for timestamp with time zone, expires_at timestamp with time zone, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, locale text, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.enqueue_rows(batch_id uuid, channel text, addresses text[], ids bigint[], types text[], locales text[], data jsonb[], message_type text, priority smallint, scheduled_for timestamp with time zone, expires_at timestamp with time zone, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, locale text, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer) IS 'Enqueues the rows of a bulk send whose content begin_bulk stored: one element of each array a recipient. What enqueue_bulk and enqueue_bulk_from call, and what a program
that has its recipients in arrays may call. priority is 0 to 4. An address is sent to once a call. Returns how many were queued (or scheduled), suppressed, invalid and duplicate.';

--
-- Name: enqueuers(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.enqueuers() RETURNS SETOF text
    LANGUAGE sql
    AS $$
  select distinct l.virtualtransaction
  from pg_locks as l
  where l.locktype = 'relation'
    and l.relation = 'postroad.message_queue'::regclass
    and l.mode = 'RowExclusiveLock'
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
$$;

--
-- Name: FUNCTION enqueuers(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.enqueuers() IS 'The open transactions that may have taken a seq. -1/… is a prepared one.';

--
-- Name: explain(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.explain(message_id uuid) RETURNS TABLE(gate text, verdict text, reason text, until timestamp with time zone)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  m postroad.messages;
  place record;
  last_event postroad.delivery_events;
  pause postroad.pauses;
  ahead bigint;
  queue_floor bigint;
  pools integer;
  suppression postroad.suppression_list;
begin
  gate := 'record';
  select x.* into m from postroad.record_of(explain.message_id) as x;
  if not found then
    verdict := 'stop';
    reason := 'no such message: the transaction that enqueued it did not commit, or its retention is over';
    return next;
    return;
  end if;
  select x.* into place from postroad.place_of(explain.message_id) as x;
  select e.* into last_event
  from postroad.delivery_events as e
  where e.message_id = explain.message_id
  order by e.occurred_at desc, e.event_id desc
  limit 1;
  verdict := 'pass';
  reason := format('%s over %s, P%s, enqueued at %s', m.message_type, m.channel, m.priority, postroad.created_at(m.message_id));
  return next;

  gate := 'outcome';
  if place.place is null then
    verdict := case when last_event.event_type in ('sent', 'delivered', 'opened', 'clicked', 'converted') then 'done' else 'stop' end;
    reason := concat_ws(': ', coalesce(last_event.event_type, 'no trace of it is left'), last_event.reason);
    if last_event.event_type = 'unknown' then
      reason := reason || '; it may have gone out: settle(message_id, ''sent'' | ''failed'' | ''resend'')';
    end if;
    return next;
    return;
  end if;
  verdict := 'pass';
  reason := case
    when last_event.event_id is null then 'no attempt yet'
    else format('attempt %s: %s%s%s', last_event.attempt, last_event.event_type, coalesce(', ' || last_event.reason, ''),
      coalesce(' by ' || last_event.gateway, ''))
  end;
  return next;

  gate := 'expiry';
  verdict := case when m.expires_at <= clock_timestamp() then 'stop' else 'pass' end;
  reason := case when m.expires_at is null then 'does not expire' when m.expires_at <= clock_timestamp() then 'expired' else 'expires' end;
  until := m.expires_at;
  return next;

  gate := 'suppression';
  select s.* into suppression
  from postroad.suppression_list as s
  where s.address = postroad.suppression_key(m.channel, m.recipient)
    and (s.channel is null or s.channel = m.channel)
    and (s.tenant_id is null or s.tenant_id = m.tenant_id)
    and (s.expires_at is null or s.expires_at > clock_timestamp())
  order by s.created_at
  limit 1;
  verdict := case when suppression.address is null then 'pass' else 'stop' end;
  reason := case when suppression.address is null then 'not suppressed' else format('suppressed since %s: %s', suppression.created_at, suppression.reason) end;
  until := suppression.expires_at;
  return next;

  gate := 'pause';
  select x.* into pause
  from postroad.pauses as x
  where x.pause_id = place.pause_id
    or x.scope = 'priority' and x.key = 'P' || m.priority
    or x.pause_id = postroad.pause_of(m, null)
  order by x.pause_id
  limit 1;
  verdict := case when found then 'wait' else 'pass' end;
  reason := case when pause.pause_id is null then 'nothing of it is paused'
    else format('%s %s is paused since %s by %s: %s', pause.scope, pause.key, pause.paused_at, pause.paused_by, pause.reason) end;
  until := null;
  return next;

  gate := 'time';
  verdict := case when place.place = 'scheduled' and place.due_at > clock_timestamp() then 'wait' else 'pass' end;
  reason := case
    when place.place <> 'scheduled' then 'due'
    when place.due_at = 'infinity' then 'parked by a pause'
    when place.due_at <= clock_timestamp() then 'due: waits to be promoted, which a running worker or maintainer does'
    when last_event.event_type = 'deferred' then 'waits for its next attempt'
    else 'scheduled'
  end;
  until := case when place.place = 'scheduled' then place.due_at end;
  return next;

  gate := 'workers';
  select count(*) into pools
  from postroad.worker_sessions as w
  where m.priority = any (w.priorities)
    and w.heartbeat_at > clock_timestamp() - interval '15 seconds';
  verdict := case when pools > 0 then 'pass' else 'wait' end;
  reason := case when pools > 0 then format('%s running for P%s', pools, m.priority) else format('no worker runs for P%s: start postroad run', m.priority) end;
  until := null;
  return next;

  if m.priority in (2, 3) then
    gate := 'p1';
    select d.ready into ahead from postroad.queue_depth(1::smallint) as d;
    verdict := case
      when ahead >= 10000 and not exists (select from postroad.pauses as x where x.scope = 'priority' and x.key = 'P1') then 'wait'
      else 'pass'
    end;
    reason := format('%s P1 messages can be sent now; P2 and P3 wait while they are 10000 or more (a setting of the workers)', ahead);
    return next;
  end if;

  gate := 'gateway';
  select r.verdict, r.reason into verdict, reason from postroad.route_of(m) as r;
  until := null;
  return next;

  if place.place = 'queued' then
    gate := 'queue';
    execute format('select last_value from postroad.queue_floor_p%s', m.priority) into queue_floor;
    execute format(
      'select count(*) from (select from postroad.message_queue_p%s as q where q.seq >= $1 and q.seq < $2 limit 100000) as x', m.priority)
    into ahead using queue_floor, place.seq;
    verdict := case when ahead > 0 then 'wait' else 'pass' end;
    reason := case when ahead >= 100000 then '100000 or more' else ahead::text end || format(' P%s messages go before it', m.priority);
    return next;
  elsif place.place = 'processing' then
    gate := 'lease';
    verdict := 'wait';
    reason := format('a worker has it since %s, lease %s', place.leased_at, place.lease_id);
    return next;
  end if;
end;
$_$;

--
-- Name: FUNCTION explain(message_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.explain(message_id uuid) IS 'Why a message is where it is: each gate in the order in which a message meets it. verdict: pass, wait (see reason and until), stop (it will not be sent) or done.';

--
-- Name: fetch_contents(uuid[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.fetch_contents(content_ids uuid[]) RETURNS TABLE(content_id uuid, subject text, body text, html text, data jsonb, options jsonb)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return query
  select c.content_id, c.subject, c.body, c.html, c.data, c.options
  from unnest(content_ids) as u (id)
  join postroad.contents as c on c.content_id = u.id
  union all
  select k.content_id, k.subject, k.body, k.html, k.data, k.options
  from unnest(content_ids) as u (id)
  join postroad.contents_kept as k on k.content_id = u.id
  where not exists (select from postroad.contents as c where c.content_id = k.content_id);
end;
$$;

--
-- Name: FUNCTION fetch_contents(content_ids uuid[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.fetch_contents(content_ids uuid[]) IS 'The contents with these ids; one that is gone has no row.';

--
-- Name: gate_is_open(smallint, bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.gate_is_open(priority smallint, p1_gate bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
declare
  queue_floor bigint;
begin
  if exists (select from postroad.pauses as x where x.scope = 'priority' and x.key = 'P' || gate_is_open.priority) then
    return false;
  end if;
  if priority not in (2, 3) or exists (select from postroad.pauses as x where x.scope = 'priority' and x.key = 'P1') then
    return true;
  end if;
  select s.last_value into queue_floor from postroad.queue_floor_p1 as s;
  return not exists (
    select from postroad.message_queue_p1 as q
    where q.seq >= queue_floor
    offset greatest(p1_gate, 1) - 1 limit 1
  );
end;
$$;

--
-- Name: FUNCTION gate_is_open(priority smallint, p1_gate bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.gate_is_open(priority smallint, p1_gate bigint) IS 'Whether a pool may claim, asked twice a second at most: its priority is not paused; and P2 and P3 claim only while fewer than p1_gate P1 messages can be sent
now (a paused P1 does not count).';

--
-- Name: gateway_named(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.gateway_named(name text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return case
    when name = 'firebase' and not exists (select from postroad.channel_health as h where h.gateway = 'firebase') then 'fcm'
    else name
  end;
end;
$$;

--
-- Name: FUNCTION gateway_named(name text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.gateway_named(name text) IS 'The name under which a gateway is configured: firebase means fcm, unless a gateway is called so.';

--
-- Name: hand_back(uuid[], uuid[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.hand_back(lease_ids uuid[], message_ids uuid[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  lease postroad.leases;
  given uuid[];
  queued integer;
  handed_back integer := 0;
begin
  for lease in
    select l.*
    from postroad.leases as l
    where l.lease_id = any (lease_ids)
    order by l.lease_id
    for update                                   -- against a rescue at the same time
  loop
    given := array(
      select u.message_id
      from unnest(lease_ids, message_ids) as u (lease_id, message_id)
      where u.lease_id = lease.lease_id
    );
    insert into postroad.message_queue (seq, message_id, priority, attempt, rescues, size_kb)
    select postroad.next_seq(lease.priority), u.message_id, lease.priority, u.attempt, lease.rescues, u.size_kb
    from postroad.unsent_of(lease) as u
    where u.message_id = any (given)
    on conflict do nothing;
    get diagnostics queued = row_count;
    handed_back := handed_back + queued;
    update postroad.leases as l
    set message_ids = coalesce(k.message_ids, '{}'), attempts = coalesce(k.attempts, '{}')
    from (
      select array_agg(u.message_id order by u.nth) as message_ids, array_agg(u.attempt order by u.nth) as attempts
      from unnest(lease.message_ids, lease.attempts) with ordinality as u (message_id, attempt, nth)
      where u.message_id <> all (given)
    ) as k
    where l.lease_id = lease.lease_id;
    if queued > 0 then
      perform postroad.wake(lease.priority);
    end if;
  end loop;
  return handed_back;
end;
$$;

--
-- Name: FUNCTION hand_back(lease_ids uuid[], message_ids uuid[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.hand_back(lease_ids uuid[], message_ids uuid[]) IS 'Gives back messages that were claimed and not sent, each with its lease; their attempt is not counted. The rest of a lease stays with its worker.
Returns how many went back. May be called again after an error; a lease that is gone was rescued, and its messages with it.';

--
-- Name: heartbeat(bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.heartbeat(worker_id bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  update postroad.worker_sessions as w
  set heartbeat_at = clock_timestamp()
  where w.worker_id = heartbeat.worker_id;
  return found;
end;
$$;

--
-- Name: FUNCTION heartbeat(worker_id bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.heartbeat(worker_id bigint) IS 'Says that a worker is alive, every 5 s; false when it was taken for dead and must register anew.';

--
-- Name: held_worker_ids(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.held_worker_ids() RETURNS SETOF bigint
    LANGUAGE sql
    AS $$
  select (l.classid::bigint << 32) | l.objid::bigint
  from pg_locks as l
  where l.locktype = 'advisory'
    and l.objsubid = 1
    and l.granted
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
$$;

--
-- Name: FUNCTION held_worker_ids(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.held_worker_ids() IS 'The keys of all advisory locks of this database that are held: those of worker sessions among them.';

--
-- Name: intend(uuid[], uuid[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.intend(lease_ids uuid[], message_ids uuid[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  insert into postroad.intents (lease_id, message_ids)
  select u.lease_id, array_agg(u.message_id)
  from unnest(lease_ids, message_ids) as u (lease_id, message_id)
  group by u.lease_id;
end;
$$;

--
-- Name: FUNCTION intend(lease_ids uuid[], message_ids uuid[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.intend(lease_ids uuid[], message_ids uuid[]) IS 'Records that these messages, whose on_unknown is hold, are about to be sent: if the worker dies before their outcome is recorded, they become unknown instead of
being sent again. Must be committed, durably, before the first of them is sent.';

--
-- Name: is_bigint(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.is_bigint(number text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  select case
    when number ~ '^-?[0-9]{1,18}$' then true
    when number ~ '^-?[0-9]{19}$' then number::numeric between -9223372036854775808 and 9223372036854775807
    else number is null
  end
$_$;

--
-- Name: FUNCTION is_bigint(number text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.is_bigint(number text) IS 'Whether an id that came as text is a whole number of 64 bits, or null.';

--
-- Name: is_push_subscription(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.is_push_subscription(subscription text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
begin
  return coalesce(subscription::jsonb ->> 'endpoint' ~ '^https://[^\s/?#@]+([/?#]\S*)?$', false);
exception
  when others then                               -- no JSON
    return false;
end;
$_$;

--
-- Name: FUNCTION is_push_subscription(subscription text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.is_push_subscription(subscription text) IS 'Whether a text is a Web Push subscription: a JSON object whose endpoint is an https URL.';

--
-- Name: is_suppressed(text, text, bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.is_suppressed(channel text, address text, tenant_id bigint DEFAULT NULL::bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return postroad.suppressed_by(channel, coalesce(postroad.normalize_recipient(channel, address), address), tenant_id) is not null;
end;
$$;

--
-- Name: FUNCTION is_suppressed(channel text, address text, tenant_id bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.is_suppressed(channel text, address text, tenant_id bigint) IS 'Whether a message to this address over this channel (for this tenant; null: for no tenant) would be suppressed now. The address may be spelled in any way that enqueue accepts.';

--
-- Name: next_seq(smallint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.next_seq(priority smallint) RETURNS bigint
    LANGUAGE sql
    AS $$
  select case priority
    when 0 then nextval('postroad.queue_seq_p0')
    when 1 then nextval('postroad.queue_seq_p1')
    when 2 then nextval('postroad.queue_seq_p2')
    when 3 then nextval('postroad.queue_seq_p3')
    when 4 then nextval('postroad.queue_seq_p4')
  end
$$;

--
-- Name: FUNCTION next_seq(priority smallint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.next_seq(priority smallint) IS 'The next place in the queue of a priority. Call it in an insert into message_queue only: that lock is what floors wait for.';

--
-- Name: normalize_email(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.normalize_email(address text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  select case
    -- Nearly all: plain ASCII, spelled as we spell it, and short enough for every limit at once.
    when length(address) <= 64
      and address ~ '^[A-Za-z0-9_+&=!#$%*/?^{|}~''-]+(\.[A-Za-z0-9_+&=!#$%*/?^{|}~''-]+)*@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]*[a-z0-9])?$'
    then address
    -- Every other one: no space, control or invisible mark of any script; by code point, for the locale of the database must have no say.
    when address !~ '[\u0080-\u00a0\u00ad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff0-\uffff]'
      and btrim(address, E' \t\r\n') ~ '^[^]\u0001-\u0020\u007f"(),:;<>@[\\.]+(\.[^]\u0001-\u0020\u007f"(),:;<>@[\\.]+)*@([A-Za-z0-9\u0080-\U0010ffff]([A-Za-z0-9\u0080-\U0010ffff-]*[A-Za-z0-9\u0080-\U0010ffff])?\.)*[A-Za-z0-9\u0080-\U0010ffff]([A-Za-z0-9\u0080-\U0010ffff-]*[A-Za-z0-9\u0080-\U0010ffff])?$'
      and octet_length(btrim(address, E' \t\r\n')) <= 254
      and (position('.' in split_part(address, '@', 2)) > 0 or lower(btrim(split_part(address, '@', 2), E' \t\r\n')) = 'localhost')
      and octet_length(split_part(btrim(address, E' \t\r\n'), '@', 1)) <= 64
      and btrim(split_part(address, '@', 2), E' \t\r\n') !~ '[^.]{64}'
    then split_part(btrim(address, E' \t\r\n'), '@', 1) || '@' || lower(split_part(btrim(address, E' \t\r\n'), '@', 2))
  end
$_$;

--
-- Name: FUNCTION normalize_email(address text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.normalize_email(address text) IS 'An email address with its domain in lower case, or null when it is none: a dot-atom of up to 64 bytes (RFC 5321, section 4.5.3.1.1),
a domain of letter-digit-hyphen labels of up to 63 with at least one dot (or localhost), 254 bytes in all. Letters may be of any script, in any database.
Quoted local parts and address literals are not accepted.';

--
-- Name: normalize_phone(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.normalize_phone(number text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  select case
    when n.digits ~ '^\+[1-9][0-9]{6,14}$' then n.digits
  end
  from (select regexp_replace(regexp_replace(btrim(number), '[ ().-]', '', 'g'), '^00', '+')) as n (digits)
$_$;

--
-- Name: FUNCTION normalize_phone(number text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.normalize_phone(number text) IS 'An E.164 number: + and 7 to 15 digits, of which the first is not 0; or null when it is none. Spaces, dots, hyphens and parentheses
are taken out, a leading 00 is read as +. A number without country code is none: which country would it be?';

--
-- Name: normalize_recipient(text, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.normalize_recipient(channel text, recipient text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $_$
  select case channel
    when 'email' then postroad.normalize_email(recipient)
    when 'sms' then postroad.normalize_phone(recipient)
    when 'voice' then postroad.normalize_phone(recipient)
    when 'push' then case
      when btrim(recipient) like '{%' and length(recipient) <= 4096 and recipient ~ '^[^[:cntrl:]]+$'
        and postroad.is_push_subscription(btrim(recipient)) then btrim(recipient)
      when btrim(recipient) ~ '^[A-Za-z0-9_:%.+=/~-]+$' and length(recipient) <= 4096 then btrim(recipient)
    end
    when 'in_app' then case
      when length(btrim(recipient)) between 1 and 255 and recipient ~ '^[^[:cntrl:]]+$' then btrim(recipient)
    end
    when 'webhook' then case
      when length(recipient) <= 2048 and btrim(recipient) ~ '^https?://[^\s/?#@[:cntrl:]]+([/?#][^\s[:cntrl:]]*)?$' then btrim(recipient)
    end
  end
$_$;

--
-- Name: FUNCTION normalize_recipient(channel text, recipient text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.normalize_recipient(channel text, recipient text) IS 'The one spelling of a recipient, or null when it is none: an email address; an E.164 number for sms and voice; for push a
device token of up to 4,096 characters or a Web Push subscription as JSON; for in_app a name of up to 255 characters; for webhook an
http or https URL of up to 2,048 characters without user and password.';

--
-- Name: note_enqueuers(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.note_enqueuers(OUT candidates bigint[], OUT enqueuers text[]) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  candidates := array[
    (select s.last_value from postroad.queue_seq_p0 as s),
    (select s.last_value from postroad.queue_seq_p1 as s),
    (select s.last_value from postroad.queue_seq_p2 as s),
    (select s.last_value from postroad.queue_seq_p3 as s),
    (select s.last_value from postroad.queue_seq_p4 as s)
  ];
  -- A later statement: whoever takes a seq up to these values holds the lock by now, or has ended.
  enqueuers := array(select postroad.enqueuers());
end;
$$;

--
-- Name: FUNCTION note_enqueuers(OUT candidates bigint[], OUT enqueuers text[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.note_enqueuers(OUT candidates bigint[], OUT enqueuers text[]) IS 'First half of advancing the floors. Sequence order is not commit order: a row with a lower seq can still appear from an open transaction. Every insert goes through the
parent message_queue and takes RowExclusiveLock on it before nextval runs; so once all who hold that lock now have ended, nothing appears below these values.';

--
-- Name: on_unknown(text, jsonb, uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.on_unknown(message_type text, options jsonb, content_id uuid) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select coalesce(
    options ->> 'on_unknown',
    (select c.options ->> 'on_unknown' from postroad.contents as c where c.content_id = on_unknown.content_id),
    (select k.options ->> 'on_unknown' from postroad.contents_kept as k where k.content_id = on_unknown.content_id),
    case when message_type in ('newsletter', 'campaign') then 'hold' else 'resend' end)
$$;

--
-- Name: FUNCTION on_unknown(message_type text, options jsonb, content_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.on_unknown(message_type text, options jsonb, content_id uuid) IS 'What follows when it cannot be known whether a message went out: resend or hold.';

--
-- Name: overdue_after(smallint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.overdue_after(priority smallint) RETURNS interval
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select case priority
    when 0 then interval '300 seconds'
    when 1 then interval '900 seconds'
    when 2 then interval '3600 seconds'
    when 3 then interval '86400 seconds'
    when 4 then interval '3600 seconds'
  end
$$;

--
-- Name: FUNCTION overdue_after(priority smallint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.overdue_after(priority smallint) IS 'The age past which a waiting message of a priority is overdue: an alarm, not an end.';

--
-- Name: pause(text, text, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.pause(scope text, key text, reason text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  paused bigint;
begin
  if (scope = any ('{priority,channel,gateway,source,tenant,domain}')) is not true then
    raise exception 'unknown scope %', coalesce(quote_literal(scope), 'null')
      using errcode = 'PR002', hint = 'Scopes: priority, channel, gateway, source, tenant, domain.';
  end if;
  if coalesce(btrim(key), '') = '' or coalesce(btrim(reason), '') = '' then
    raise exception 'a pause needs a key and a reason'
      using errcode = 'PR001', hint = 'Such as pause(''channel'', ''sms'', ''carrier outage'').';
  end if;
  if scope = 'priority' and key <> all ('{P0,P1,P2,P3,P4}') then
    raise exception 'unknown priority %', quote_literal(key)
      using errcode = 'PR002', hint = 'Priorities: P0, P1, P2, P3, P4.';
  end if;
  if scope = 'channel' and key <> all ('{email,sms,push,voice,in_app,webhook}') then
    raise exception 'unknown channel %', quote_literal(key)
      using errcode = 'PR002', hint = 'Channels: email, sms, push, voice, in_app, webhook.';
  end if;
  insert into postroad.pauses as x (scope, key, reason, paused_by)
  values (scope, case scope when 'domain' then lower(key) when 'gateway' then postroad.gateway_named(key) else key end, reason, session_user)
  on conflict on constraint pauses_are_unique do update
  set reason = excluded.reason
  returning x.pause_id into paused;
  return paused;
end;
$$;

--
-- Name: FUNCTION pause(scope text, key text, reason text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.pause(scope text, key text, reason text) IS 'Pauses a scope: priority (P0 … P4: not claimed), channel, source (a source_type, or source_type:source_id), tenant, domain (of email addresses): their messages are parked;
gateway: not used; messages that have no other one wait. Messages already handed to a gateway are not held. Returns the id of the pause; paused again, its reason is replaced.
Raises PR001 (no key or reason) and PR002 (unknown scope, priority or channel).';

--
-- Name: messages; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.messages (
    message_id uuid NOT NULL,
    tenant_id bigint,
    recipient_id bigint,
    source_id bigint,
    scheduled_for timestamp with time zone,
    expires_at timestamp with time zone,
    content_id uuid,
    batch_id uuid,
    priority smallint NOT NULL,
    template_version integer,
    channel text NOT NULL COLLATE pg_catalog."C",
    message_type text NOT NULL COLLATE pg_catalog."C",
    recipient text NOT NULL COLLATE pg_catalog."C",
    recipient_type text COLLATE pg_catalog."C",
    source_type text COLLATE pg_catalog."C",
    ip_pool text COLLATE pg_catalog."C",
    gateway text COLLATE pg_catalog."C",
    locale text COLLATE pg_catalog."C",
    template text COLLATE pg_catalog."C",
    subject text,
    body text,
    html text,
    data jsonb,
    options jsonb
)
PARTITION BY RANGE (message_id);

--
-- Name: TABLE messages; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.messages IS 'What was enqueued: immutable, one row a message. Its creation time is in its UUIDv7: postroad.created_at(message_id).';

--
-- Name: COLUMN messages.content_id; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.messages.content_id IS 'The content shared with the rest of a bulk send; null when the content is in this row.';

--
-- Name: COLUMN messages.priority; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.messages.priority IS '0 to 4, for P0 to P4.';

--
-- Name: COLUMN messages.recipient; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.messages.recipient IS 'As enqueue normalised it: address, E.164 number, token, user or URL.';

--
-- Name: messages_kept; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.messages_kept (
    message_id uuid NOT NULL,
    tenant_id bigint,
    recipient_id bigint,
    source_id bigint,
    scheduled_for timestamp with time zone,
    expires_at timestamp with time zone,
    content_id uuid,
    batch_id uuid,
    priority smallint NOT NULL,
    template_version integer,
    channel text NOT NULL COLLATE pg_catalog."C",
    message_type text NOT NULL COLLATE pg_catalog."C",
    recipient text NOT NULL COLLATE pg_catalog."C",
    recipient_type text COLLATE pg_catalog."C",
    source_type text COLLATE pg_catalog."C",
    ip_pool text COLLATE pg_catalog."C",
    gateway text COLLATE pg_catalog."C",
    locale text COLLATE pg_catalog."C",
    template text COLLATE pg_catalog."C",
    subject text,
    body text,
    html text,
    data jsonb,
    options jsonb
);

--
-- Name: TABLE messages_kept; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.messages_kept IS 'Records of messages that still waited when their day was dropped.';

--
-- Name: COLUMN messages_kept.content_id; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.messages_kept.content_id IS 'The content shared with the rest of a bulk send; null when the content is in this row.';

--
-- Name: COLUMN messages_kept.priority; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.messages_kept.priority IS '0 to 4, for P0 to P4.';

--
-- Name: COLUMN messages_kept.recipient; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.messages_kept.recipient IS 'As enqueue normalised it: address, E.164 number, token, user or URL.';

--
-- Name: pause_of(postroad.messages, postroad.messages_kept); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.pause_of(m postroad.messages, k postroad.messages_kept) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
  select x.pause_id
  from postroad.pauses as x
  where (x.scope, x.key) in (
    ('channel', coalesce(m.channel, k.channel)),
    ('source', coalesce(m.source_type, k.source_type)),
    ('source', coalesce(m.source_type, k.source_type) || ':' || coalesce(m.source_id, k.source_id)),
    ('tenant', coalesce(m.tenant_id, k.tenant_id)::text),
    ('domain', case when coalesce(m.channel, k.channel) = 'email' then split_part(coalesce(m.recipient, k.recipient), '@', 2) end)
  )
  order by x.pause_id
  limit 1
$$;

--
-- Name: FUNCTION pause_of(m postroad.messages, k postroad.messages_kept); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.pause_of(m postroad.messages, k postroad.messages_kept) IS 'The pause that parks a message (its record, or its kept one), or null. Scopes: channel; source, by type or type:id; tenant; domain of an email address.
A paused priority is not claimed at all; a paused gateway is a matter of routing.';

--
-- Name: place_of(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.place_of(message_id uuid, OUT place text, OUT due_at timestamp with time zone, OUT pause_id bigint, OUT seq bigint, OUT attempt smallint, OUT lease_id uuid, OUT worker_id bigint, OUT leased_at timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE
    AS $$
begin
  select 'queued', q.seq, q.attempt into place, seq, attempt
  from postroad.message_queue as q
  where q.message_id = place_of.message_id;
  if found then
    return;
  end if;
  select 'scheduled', s.due_at, s.pause_id, s.attempt into place, due_at, pause_id, attempt
  from postroad.scheduled as s
  where s.message_id = place_of.message_id;
  if found then
    return;
  end if;
  select 'processing', l.lease_id, l.worker_id, l.leased_at into place, lease_id, worker_id, leased_at
  from postroad.leases as l
  where l.message_ids @> array[place_of.message_id]
    and not exists (
      select from postroad.delivery_events as e
      where e.message_id = place_of.message_id
        and e.lease_id = l.lease_id
    );
end;
$$;

--
-- Name: FUNCTION place_of(message_id uuid, OUT place text, OUT due_at timestamp with time zone, OUT pause_id bigint, OUT seq bigint, OUT attempt smallint, OUT lease_id uuid, OUT worker_id bigint, OUT leased_at timestamp with time zone); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.place_of(message_id uuid, OUT place text, OUT due_at timestamp with time zone, OUT pause_id bigint, OUT seq bigint, OUT attempt smallint, OUT lease_id uuid, OUT worker_id bigint, OUT leased_at timestamp with time zone) IS 'Where a message waits: queued, scheduled or processing, or null when it does not.';

--
-- Name: promote_due(smallint, timestamp with time zone, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.promote_due(priority smallint, after timestamp with time zone DEFAULT '-infinity'::timestamp with time zone, max_count integer DEFAULT 1000, OUT promoted integer, OUT reached timestamp with time zone) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
begin
  with due as (
    select s.ctid as place, s.due_at
    from postroad.scheduled as s
    where s.priority = promote_due.priority
      and s.due_at >= after
      and s.due_at <= clock_timestamp()
    order by s.due_at
    limit max_count
    for update skip locked
  ), taken as (
    delete from postroad.scheduled as s
    where s.ctid = any (array(select d.place from due as d))
    returning s.message_id, s.attempt, s.rescues, s.due_at
  ), queued as (
    insert into postroad.message_queue (seq, message_id, priority, attempt, rescues, size_kb)
    select postroad.next_seq(promote_due.priority), t.message_id, promote_due.priority, t.attempt, t.rescues,
      postroad.size_kb(coalesce((select pg_column_size(m.*) from postroad.record_of(t.message_id) as m), 0))
    from taken as t
    on conflict do nothing
  )
  select count(*), least(max(t.due_at), clock_timestamp() - interval '2 seconds') into promoted, reached
  from taken as t;
  if promoted > 0 then
    perform postroad.wake(priority);
  end if;
end;
$$;

--
-- Name: FUNCTION promote_due(priority smallint, after timestamp with time zone, max_count integer, OUT promoted integer, OUT reached timestamp with time zone); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.promote_due(priority smallint, after timestamp with time zone, max_count integer, OUT promoted integer, OUT reached timestamp with time zone) IS 'Moves messages of a priority whose time has come into the queue, at most max_count. Looks from `after` on, so that dead versions at the start of the index, which a held
snapshot keeps, are passed once; reached is where to look from next: the latest due time it moved, but two seconds ago at the latest, since due times are not committed
in order. Some come later still: start over with -infinity now and then.';

--
-- Name: purge_idempotency_keys(integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.purge_idempotency_keys(max_count integer DEFAULT 10000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  purged integer;
begin
  delete from postroad.idempotency_keys as k
  where k.ctid = any (array(
    select x.ctid
    from postroad.idempotency_keys as x
    where x.created_at < clock_timestamp() - interval '7 days'
    limit max_count
    for update skip locked
  ));
  get diagnostics purged = row_count;
  return purged;
end;
$$;

--
-- Name: FUNCTION purge_idempotency_keys(max_count integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.purge_idempotency_keys(max_count integer) IS 'Forgets idempotency keys older than 7 days, at most max_count a call. Returns how many.';

--
-- Name: queue_depth(smallint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.queue_depth(priority smallint) RETURNS TABLE(ready bigint, oldest_at timestamp with time zone)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $_$
declare
  queue_floor bigint;
  first_seq bigint;
  last_seq bigint;
begin
  execute format('select last_value from postroad.queue_floor_p%s', priority) into queue_floor;
  execute format('select q.seq, postroad.created_at(q.message_id) from postroad.message_queue_p%s as q where q.seq >= $1 order by q.seq limit 1', priority)
  into first_seq, oldest_at using queue_floor;
  execute format('select count(*) from (select from postroad.message_queue_p%s as q where q.seq >= $1 limit 10000) as x', priority)
  into ready using queue_floor;
  if ready = 10000 then
    execute format('select last_value from postroad.queue_seq_p%s', priority) into last_seq;
    ready := greatest(ready, last_seq - first_seq + 1);
  end if;
  return next;
end;
$_$;

--
-- Name: FUNCTION queue_depth(priority smallint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.queue_depth(priority smallint) IS 'How many messages of a priority can be sent now, and since when the oldest is enqueued. Exact below 10,000; above that the span of their places, which is at most what was
enqueued since the oldest: no view counts whole tables.';

--
-- Name: record_events(text, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.record_events(gateway text, events jsonb) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  recorded integer;
begin
  insert into postroad.delivery_events (message_id, event_type, gateway, external_id, reason, bounce_type, source_key, occurred_at, detail)
  select e.message_id, e.event_type, record_events.gateway, e.external_id, e.reason, e.bounce_type, e.source_key,
    coalesce(e.occurred_at, clock_timestamp()), e.detail
  from jsonb_to_recordset(events) as e (
    message_id uuid, event_type text, external_id text, reason text, bounce_type text, source_key text, occurred_at timestamptz, detail jsonb)
  on conflict do nothing;
  get diagnostics recorded = row_count;
  return recorded;
end;
$$;

--
-- Name: FUNCTION record_events(gateway text, events jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.record_events(gateway text, events jsonb) IS 'Appends what a gateway reported: a JSON array of {message_id, event_type, external_id, reason, bounce_type, source_key, occurred_at, detail}. An event whose
source_key (the provider''s id of it) is there already is left out. Returns how many were new.';

--
-- Name: record_of(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.record_of(message_id uuid) RETURNS SETOF postroad.messages
    LANGUAGE sql STABLE ROWS 1
    AS $$
  select m.* from postroad.messages as m where m.message_id = record_of.message_id
  union all
  select k.* from postroad.messages_kept as k where k.message_id = record_of.message_id
  limit 1
$$;

--
-- Name: FUNCTION record_of(message_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.record_of(message_id uuid) IS 'The record of a message, also when its day is gone.';

--
-- Name: refresh_channel_health(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.refresh_channel_health() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  delete from postroad.gateway_minutes as g where g.minute < clock_timestamp() - interval '25 hours';
  with hour as (
    select g.gateway, g.channel, l.nth - 1 as bucket, sum(l.calls) as calls
    from postroad.gateway_minutes as g, unnest(g.latencies) with ordinality as l (calls, nth)
    where g.minute > clock_timestamp() - interval '1 hour'
    group by 1, 2, 3
  ), ranked as (
    select h.*, sum(h.calls) over (partition by h.gateway, h.channel order by h.bucket) as upto, sum(h.calls) over (partition by h.gateway, h.channel) as total
    from hour as h
  ), latency as (
    select r.gateway, r.channel, sum(r.calls * 2.0 ^ r.bucket * 0.75) / nullif(sum(r.calls), 0) as average,
      2.0 ^ min(r.bucket) filter (where r.upto >= 0.95 * r.total) as p95
    from ranked as r
    group by 1, 2
  ), day as (
    select g.gateway, g.channel,
      sum(g.sent) filter (where g.minute > clock_timestamp() - interval '1 hour') as sent_1h,
      sum(g.sent + g.failed) filter (where g.minute > clock_timestamp() - interval '1 hour') as calls_1h,
      sum(g.sent) as sent_24h, sum(g.sent + g.failed) as calls_24h,
      max(g.sent + g.failed) / 60.0 as maximum_rate,
      sum(g.sent + g.failed) filter (where g.minute = date_trunc('minute', clock_timestamp()) - interval '1 minute') / 60.0 as current_rate
    from postroad.gateway_minutes as g
    where g.minute > clock_timestamp() - interval '24 hours'
    group by 1, 2
  )
  update postroad.channel_health as h
  set success_rate_1h = d.sent_1h / nullif(d.calls_1h, 0)::real, success_rate_24h = d.sent_24h / nullif(d.calls_24h, 0)::real,
    average_latency_ms = l.average, p95_latency_ms = l.p95, current_rate = coalesce(d.current_rate, 0), maximum_rate = d.maximum_rate
  from day as d
  left join latency as l using (gateway, channel)
  where h.gateway = d.gateway and h.channel = d.channel;
end;
$$;

--
-- Name: FUNCTION refresh_channel_health(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.refresh_channel_health() IS 'Brings the rates and latencies in channel_health up to date from gateway_minutes, and forgets minutes older than 25 hours. Latencies are told to a power of two.';

--
-- Name: register_gateways(text[], text[], smallint[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.register_gateways(gateways text[], channels text[], positions smallint[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  insert into postroad.channel_health as h (gateway, channel, position)
  select u.gateway, u.channel, u.position
  from unnest(gateways, channels, positions) as u (gateway, channel, position)
  order by u.gateway, u.channel
  on conflict (gateway, channel) do update
  set position = excluded.position, registered_at = clock_timestamp();
end;
$$;

--
-- Name: FUNCTION register_gateways(gateways text[], channels text[], positions smallint[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.register_gateways(gateways text[], channels text[], positions smallint[]) IS 'Says which gateways a worker has for which channels; position 1 is the first choice.';

--
-- Name: register_routing(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.register_routing(rules jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  lock table postroad.gateway_routes in share row exclusive mode;      -- one worker after the other
  delete from postroad.gateway_routes;
  insert into postroad.gateway_routes (channel, message_type, gateways)
  select c.key, t.key, array(select g.name from jsonb_array_elements_text(c.value) with ordinality as g (name, nth) order by g.nth)
  from jsonb_each(rules -> 'routes') as t, jsonb_each(t.value) as c;
  delete from postroad.ip_pools;
  insert into postroad.ip_pools (message_type, ip_pool)
  select p.key, p.value
  from jsonb_each_text(rules -> 'ip_pools') as p;
  delete from postroad.sms_prices;
  insert into postroad.sms_prices (gateway, prefix, price)
  select g.key, p.key, p.value::float8
  from jsonb_each(rules -> 'sms_prices') as g, jsonb_each_text(g.value) as p;
end;
$$;

--
-- Name: FUNCTION register_routing(rules jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.register_routing(rules jsonb) IS 'Says by what a worker chooses gateways, instead of what was said before: {"routes": {type: {channel: [gateway, …]}}, "ip_pools": {type: pool}, "sms_prices": {gateway:
{digits: price of a part}}}. Where workers differ, explain says what the last one said.';

--
-- Name: register_worker(bigint, text, integer, text, smallint[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.register_worker(worker_id bigint, host text, pid integer, version text, priorities smallint[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  insert into postroad.worker_sessions (worker_id, host, pid, version, priorities)
  values (worker_id, host, pid, version, priorities);
end;
$$;

--
-- Name: FUNCTION register_worker(worker_id bigint, host text, pid integer, version text, priorities smallint[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.register_worker(worker_id bigint, host text, pid integer, version text, priorities smallint[]) IS 'Registers a worker process, whose session must hold the advisory lock worker_id already: it is alive for as long as that lock is held and its heartbeat is
younger than 15 s.';

--
-- Name: release(uuid, interval); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.release(lease_id uuid, delay interval DEFAULT '00:00:00'::interval) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  lease postroad.leases;
  released integer;
begin
  delay := coalesce(delay, '0');
  if delay < '0' then
    raise exception 'delay must not be negative, got %', delay
      using errcode = 'PR001';
  end if;
  select l.* into lease
  from postroad.leases as l
  where l.lease_id = release.lease_id
  for update;                                    -- waits for a completion under way; what follows sees its events
  if not found then
    return 0;
  end if;
  if delay = '0' then
    insert into postroad.message_queue (seq, message_id, priority, attempt, rescues, size_kb)
    select postroad.next_seq(lease.priority), u.message_id, lease.priority, u.attempt, lease.rescues, u.size_kb
    from postroad.unsent_of(lease) as u
    on conflict do nothing;
  else
    insert into postroad.scheduled (message_id, due_at, priority, attempt, rescues)
    select u.message_id, clock_timestamp() + delay, lease.priority, u.attempt, lease.rescues
    from postroad.unsent_of(lease) as u
    on conflict do nothing;
  end if;
  get diagnostics released = row_count;
  delete from postroad.leases as l where l.lease_id = release.lease_id;
  delete from postroad.intents as i where i.lease_id = release.lease_id;
  if released > 0 and delay = '0' then
    perform postroad.wake(lease.priority);
  end if;
  return released;
end;
$$;

--
-- Name: FUNCTION release(lease_id uuid, delay interval); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.release(lease_id uuid, delay interval) IS 'Ends a lease and gives back the messages in it that have no event of it yet, due after delay (default: now). Their attempt is not counted.
Returns how many; 0 when the lease is gone. Raises PR001 when delay is negative.';

--
-- Name: report_breaker(text, boolean, text, bigint, bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.report_breaker(gateway text, is_open boolean, cause text, open_ms bigint, worker_id bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  changed boolean;
begin
  insert into postroad.gateway_states as s (gateway, is_open, cause, open_until)
  values (gateway, is_open, cause, clock_timestamp() + make_interval(secs => open_ms / 1000.0))
  on conflict on constraint gateway_states_pkey do update
  set is_open = excluded.is_open, cause = excluded.cause, open_until = excluded.open_until, probe_until = null,
    changed_at = case when s.is_open = excluded.is_open then s.changed_at else clock_timestamp() end
  where excluded.is_open or s.is_open
  returning s.changed_at >= statement_timestamp() into changed;
  if changed then
    insert into postroad.health_log (gateway, state, cause, worker_id)
    values (gateway, case when is_open then 'open' else 'closed' end, cause, worker_id);
  end if;
  perform pg_notify('postroad_health', gateway);
end;
$$;

--
-- Name: FUNCTION report_breaker(gateway text, is_open boolean, cause text, open_ms bigint, worker_id bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.report_breaker(gateway text, is_open boolean, cause text, open_ms bigint, worker_id bigint) IS 'Tells all nodes that a gateway''s breaker opened, for open_ms until it may be probed, or closed. A change is a row in health_log; NOTIFY postroad_health carries the
gateway''s name.';

--
-- Name: requeue(uuid, smallint, smallint, smallint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.requeue(message_id uuid, priority smallint, attempt smallint, rescues smallint DEFAULT 0) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
begin
  insert into postroad.message_queue (seq, message_id, priority, attempt, rescues, size_kb)
  select postroad.next_seq(requeue.priority), requeue.message_id, requeue.priority, requeue.attempt, requeue.rescues,
    postroad.size_kb(coalesce((select pg_column_size(m.*) from postroad.record_of(requeue.message_id) as m), 0))
  on conflict do nothing;
  return found;
end;
$$;

--
-- Name: FUNCTION requeue(message_id uuid, priority smallint, attempt smallint, rescues smallint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.requeue(message_id uuid, priority smallint, attempt smallint, rescues smallint) IS 'Puts a message back at the end of its queue; false when it is there already.';

--
-- Name: rescue(bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.rescue(worker_id bigint) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  lease record;
  suspects integer;
  nth integer := 0;
  rescued integer := 0;
begin
  delete from postroad.worker_sessions as w                   -- from here on it claims nothing
  where w.worker_id = rescue.worker_id
    and (
      w.heartbeat_at < clock_timestamp() - interval '15 seconds'
      or w.worker_id not in (select h.id from postroad.held_worker_ids() as h (id))
    );
  if not found and exists (select from postroad.worker_sessions as w where w.worker_id = rescue.worker_id) then
    return 0;                                                 -- its heart beat again since it was looked at
  end if;
  select count(*) into suspects
  from postroad.leases as l, postroad.unsent_of(l) as u
  where l.worker_id = rescue.worker_id
    and l.rescues >= 2;
  for lease in
    select l.lease_id, l.rescues
    from postroad.leases as l
    where l.worker_id = rescue.worker_id
    order by l.lease_id
  loop
    nth := nth + (lease.rescues >= 2)::integer;
    rescued := rescued + postroad.rescue_lease(lease.lease_id,
      case when suspects > 1 then make_interval(secs => nth * power(2, least(lease.rescues - 2, 6))) end);
  end loop;
  return rescued;
end;
$$;

--
-- Name: FUNCTION rescue(worker_id bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.rescue(worker_id bigint) IS 'Takes a dead worker''s leases and requeues what has no outcome. Returns how many messages the leases had; 0, and nothing is done, when the worker is alive after all.';

--
-- Name: rescue_lease(uuid, interval); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.rescue_lease(lease_id uuid, apart interval) RETURNS integer
    LANGUAGE plpgsql
    AS $$
declare
  lease postroad.leases;
  intended uuid[];
  rescued integer;
begin
  select l.* into lease
  from postroad.leases as l
  where l.lease_id = rescue_lease.lease_id
  for update skip locked;                        -- a completion or another rescue is at it: next time
  if not found then
    return 0;
  end if;
  intended := array(
    select u.id
    from postroad.intents as i, unnest(i.message_ids) as u (id)
    where i.lease_id = lease.lease_id
  );
  -- What follows runs under a new snapshot: it sees the events of every completion that held the lease.
  with unsent as materialized (
    select u.message_id, u.attempt, u.size_kb,
      u.message_id = any (intended) as held,
      lease.rescues + 1 >= 3 and apart is null as hopeless,
      lease.rescues + 1 >= 3 and apart is not null as suspected
    from postroad.unsent_of(lease) as u
  ), ended as (
    insert into postroad.delivery_events (message_id, lease_id, event_type, attempt, reason)
    select u.message_id, lease.lease_id, case when u.held then 'unknown' else 'failed' end, u.attempt + 1, 'worker_crashed'
    from unsent as u
    where u.held or u.hopeless
    on conflict do nothing
  ), put_off as (
    insert into postroad.scheduled (message_id, due_at, priority, attempt, rescues)
    select u.message_id, clock_timestamp() + apart, lease.priority, u.attempt, lease.rescues + 1
    from unsent as u
    where not u.held and u.suspected
    on conflict do nothing
  ), requeued as (
    insert into postroad.message_queue (seq, message_id, priority, attempt, rescues, size_kb)
    select postroad.next_seq(lease.priority), u.message_id, lease.priority, u.attempt, lease.rescues + 1, u.size_kb
    from unsent as u
    where not u.held and not u.hopeless and not u.suspected
    on conflict do nothing
  )
  select count(*) into rescued
  from unsent as u;
  delete from postroad.intents as i where i.lease_id = lease.lease_id;
  delete from postroad.leases as l where l.lease_id = lease.lease_id;
  perform postroad.wake(lease.priority);
  return rescued;
end;
$$;

--
-- Name: FUNCTION rescue_lease(lease_id uuid, apart interval); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.rescue_lease(lease_id uuid, apart interval) IS 'Requeues the messages of a lease that have no event of it, each with one rescue more; those with an intent become unknown, those rescued for the third time
failed, reason worker_crashed. But where several were rescued so often at once, one of them is to blame and the others were beside it: given an interval, they are due
after it, so that they are sent apart. Returns how many had none; 0 when somebody else is at it.';

--
-- Name: reset_floors(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.reset_floors() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  lowest bigint;
  highest bigint;
  queue_floor bigint;
  last_seq bigint;
begin
  for p in 0..4 loop
    execute format('select min(q.seq), max(q.seq) from postroad.message_queue_p%s as q', p) into lowest, highest;
    execute format('select s.last_value from postroad.queue_floor_p%s as s', p) into queue_floor;
    execute format('select s.last_value - case when s.is_called then 0 else 1 end from postroad.queue_seq_p%s as s', p) into last_seq;
    -- A floor that lies may lie above rows of open transactions too, so it starts over; the next rounds raise it.
    if queue_floor > least(lowest, last_seq + 1) then
      perform setval(format('postroad.queue_floor_p%s', p), 0);
    end if;
    if last_seq < highest then
      perform setval(format('postroad.queue_seq_p%s', p), highest);
    end if;
  end loop;
end;
$$;

--
-- Name: FUNCTION reset_floors(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.reset_floors() IS 'Starts floors over that lie above a row or above their sequence, and raises sequences to the highest row: after a restore or a logical copy they lie. Called by migrate and by each newly elected maintainer.';

--
-- Name: resume(text, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.resume(scope text, key text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  resumed bigint;
begin
  delete from postroad.pauses as x
  where x.scope = resume.scope
    and x.key = case resume.scope when 'domain' then lower(resume.key) when 'gateway' then postroad.gateway_named(resume.key) else resume.key end
  returning x.pause_id into resumed;            -- waits for a completion that is parking messages; what follows sees them
  if resumed is null then
    return false;
  end if;
  with parked as (
    delete from postroad.scheduled as s
    where s.pause_id = resumed
    returning s.message_id, s.priority, s.attempt, s.rescues
  )
  insert into postroad.message_queue (seq, message_id, priority, attempt, rescues, size_kb)
  select postroad.next_seq(p.priority), p.message_id, p.priority, p.attempt, p.rescues,
    postroad.size_kb(coalesce((select pg_column_size(m.*) from postroad.record_of(p.message_id) as m), 0))
  from parked as p
  on conflict do nothing;
  for p in 0..4 loop
    perform postroad.wake(p::smallint);
  end loop;
  return true;
end;
$$;

--
-- Name: FUNCTION resume(scope text, key text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.resume(scope text, key text) IS 'Ends a pause and queues what it parked. False when there is no such pause.';

--
-- Name: retry(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.retry(message_id uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  known record;
begin
  perform pg_advisory_xact_lock(1886351220, 3);    -- one at a time: while a second one waited, a worker could claim what the first one queued
  select s.status, s.priority into known from postroad.status(message_id) as s;
  if not found or known.status not in ('failed', 'bounced', 'expired', 'cancelled', 'suppressed', 'unknown') then
    return false;
  end if;
  if not postroad.requeue(message_id, right(known.priority, 1)::smallint, 0::smallint) then
    return false;
  end if;
  perform postroad.wake(right(known.priority, 1)::smallint);
  return true;
end;
$$;

--
-- Name: FUNCTION retry(message_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.retry(message_id uuid) IS 'Queues a message again that failed, bounced, expired, was cancelled, suppressed or is unknown, with all its attempts. Expiry and suppression are checked anew, so fix those
first. False when it is in none of these states.';

--
-- Name: retry_failed(timestamp with time zone, text, text, text, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.retry_failed(since timestamp with time zone DEFAULT (clock_timestamp() - '1 day'::interval), channel text DEFAULT NULL::text, gateway text DEFAULT NULL::text, reason text DEFAULT NULL::text, max_count integer DEFAULT 10000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  retried integer := 0;
  failed uuid;
begin
  for failed in
    select e.message_id
    from postroad.delivery_events as e, postroad.record_of(e.message_id) as m
    where e.event_type = 'failed'
      and e.occurred_at >= since
      and (retry_failed.channel is null or m.channel = retry_failed.channel)
      and (retry_failed.gateway is null or e.gateway = retry_failed.gateway)
      and (retry_failed.reason is null or e.reason = retry_failed.reason)
    order by e.occurred_at
  loop
    exit when retried >= max_count;
    -- Not what was retried and sent since, or cancelled.
    if (select s.status from postroad.status(failed) as s) = 'failed' and postroad.retry(failed) then
      retried := retried + 1;
    end if;
  end loop;
  return retried;
end;
$$;

--
-- Name: FUNCTION retry_failed(since timestamp with time zone, channel text, gateway text, reason text, max_count integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.retry_failed(since timestamp with time zone, channel text, gateway text, reason text, max_count integer) IS 'Queues again what failed since a time (default: the last day) and still is failed, the oldest first, at most max_count (default 10,000), of one channel, gateway or reason if given. Returns how many.';

--
-- Name: route_of(postroad.messages); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.route_of(m postroad.messages, OUT verdict text, OUT reason text) RETURNS record
    LANGUAGE plpgsql STABLE
    AS $$
declare
  chosen constant text := postroad.gateway_named(m.gateway);
  of_type text[];
  gateways text[];
  pool text;
begin
  select r.gateways into of_type
  from postroad.gateway_routes as r
  where r.channel = m.channel
    and r.message_type = m.message_type;
  gateways := coalesce(of_type, array(
    select h.gateway from postroad.channel_health as h where h.channel = m.channel order by h.position, h.gateway
  ));
  if exists (select from postroad.channel_health as h where h.gateway = chosen and h.channel = m.channel) then
    gateways := chosen || array_remove(gateways, chosen);
  end if;
  if cardinality(gateways) = 0 then
    verdict := 'wait';
    reason := format('no_gateway: no worker has a gateway for %s', m.channel);
    return;
  end if;
  if m.channel = 'email' then
    select format('IP pool %s (%s)', coalesce(m.ip_pool, p.ip_pool), case when m.ip_pool is null then 'by message type' else 'by the caller' end)
    into pool
    from (select m.message_type) as t (message_type)
    left join postroad.ip_pools as p on p.message_type = t.message_type
    where coalesce(m.ip_pool, p.ip_pool) is not null;
  end if;
  with candidate as (
    select g.gateway, g.nth, s.weight, x.key is not null as is_paused, coalesce(s.is_open, false) as is_open, s.cause, s.changed_at, s.open_until,
      (
        select p.price
        from postroad.sms_prices as p
        where m.channel = 'sms'
          and p.gateway = g.gateway
          and starts_with(ltrim(m.recipient, '+'), p.prefix)
        order by length(p.prefix) desc
        limit 1
      ) as price
    from unnest(gateways) with ordinality as g (gateway, nth)
    left join postroad.gateway_states as s on s.gateway = g.gateway
    left join postroad.pauses as x on x.scope = 'gateway' and x.key = g.gateway
  ), tried as (                     -- as the workers do it: src/worker/routing.rs
    select c.*, row_number() over (
      order by c.is_open, case when c.is_open then c.open_until end, c.gateway is distinct from chosen, coalesce(c.weight, 1) = 0, c.price,
        c.weight is null, c.nth
    ) as place
    from candidate as c
    where not c.is_paused
  ), first as (
    select t.gateway, case
        when t.is_open then 'every breaker is open: the one that is probed next'
        when t.gateway = chosen then 'chosen by the caller'
        when t.price is not null then format('the cheapest to this number: %s a part', t.price)
        when exists (select from tried as o where o.weight is not null and not o.is_open) then 'by weight'
        when of_type is not null then format('first for %s', m.message_type)
        else format('first for %s', m.channel)
      end as why
    from tried as t
    where t.place = 1
  )
  select
    case when exists (select from first) then 'pass' else 'wait' end,
    concat_ws('; ',
      (select format('%s (%s)', f.gateway, f.why) from first as f),
      'then ' || (select string_agg(t.gateway, ', ' order by t.place) from tried as t where t.place > 1 and not t.is_open),
      'paused: ' || (select string_agg(c.gateway, ', ' order by c.nth) from candidate as c where c.is_paused),
      (
        select string_agg(format('%s''s breaker is open since %s (%s)', c.gateway, c.changed_at, c.cause), '; ' order by c.nth)
        from candidate as c
        where c.is_open
      ),
      'weights: ' || (select string_agg(format('%s %s', c.gateway, c.weight), ', ' order by c.weight desc, c.gateway) from candidate as c where c.weight is not null),
      'prices: ' || (select string_agg(format('%s %s', c.gateway, c.price), ', ' order by c.price, c.gateway) from candidate as c where c.price is not null),
      pool
    )
  into verdict, reason;
end;
$$;

--
-- Name: FUNCTION route_of(m postroad.messages, OUT verdict text, OUT reason text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.route_of(m postroad.messages, OUT verdict text, OUT reason text) IS 'By which gateways a message goes, and why: as far as the workers told (register_gateways, register_routing), and with what they know of gateways now. Which push gateway
takes a token only they know.';

--
-- Name: routing_state(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.routing_state() RETURNS TABLE(gateway text, is_paused boolean, is_open boolean, open_ms bigint, weight integer)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return query
  select coalesce(s.gateway, x.key), x.key is not null, coalesce(s.is_open, false),
    greatest(extract(epoch from s.open_until - clock_timestamp()) * 1000, 0)::bigint, s.weight
  from postroad.gateway_states as s
  full join (select p.key from postroad.pauses as p where p.scope = 'gateway') as x on x.key = s.gateway;
end;
$$;

--
-- Name: FUNCTION routing_state(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.routing_state() IS 'What the nodes know of gateways: paused, breaker open (for so many ms more before a probe), weight. A gateway without a row is in order.';

--
-- Name: set_gateway_weight(text, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.set_gateway_weight(gateway text, weight integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  named constant text := postroad.gateway_named(gateway);
begin
  if weight < 0 then
    raise exception 'a weight must be 0 or more, got %', weight
      using errcode = 'PR001', hint = 'Null: in configured order. 0: only when no other gateway can.';
  end if;
  if not exists (select from postroad.channel_health as h where h.gateway = named) then
    raise exception 'no worker has registered a gateway %', quote_literal(gateway)
      using errcode = 'PR002', hint = 'See: select distinct gateway from postroad.gateway_stats.';
  end if;
  insert into postroad.gateway_states as s (gateway, weight)
  values (named, weight)
  on conflict on constraint gateway_states_pkey do update
  set weight = excluded.weight;
  perform pg_notify('postroad_health', named);
end;
$$;

--
-- Name: FUNCTION set_gateway_weight(gateway text, weight integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.set_gateway_weight(gateway text, weight integer) IS 'Sets a gateway''s share of its channels'' traffic, on all nodes within a second: gateways with weights are chosen at random in proportion, before those without, which go in
configured order. Null takes the weight away; 0 leaves the gateway to failover. Raises PR001 (negative) and PR002 (no such gateway).';

--
-- Name: set_rate_limit(text, text, integer, integer, integer, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.set_rate_limit(limit_type text, limit_key text, per_second integer DEFAULT NULL::integer, per_minute integer DEFAULT NULL::integer, per_hour integer DEFAULT NULL::integer, per_day integer DEFAULT NULL::integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  key constant text := case when limit_type = 'domain' then lower(btrim(limit_key)) else btrim(limit_key) end;
begin
  if (limit_type = any ('{domain,gateway,ip_pool,channel,tenant,recipient}')) is not true then
    raise exception 'unknown limit_type %', coalesce(quote_literal(limit_type), 'null')
      using errcode = 'PR002', hint = 'Limit types: domain, gateway, ip_pool, channel, tenant, recipient.';
  end if;
  if coalesce(key, '') = '' then
    raise exception 'a rate limit needs a key'
      using errcode = 'PR001', hint = 'Such as set_rate_limit(''domain'', ''gmail.com'', per_hour => 10000).';
  end if;
  if least(per_second, per_minute, per_hour, per_day) < 1 then
    raise exception 'a rate limit must be 1 or more'
      using errcode = 'PR001', hint = 'To stop sending, use pause.';
  end if;
  if coalesce(per_second, per_minute, per_hour, per_day) is null then
    delete from postroad.rate_limits as r
    where r.limit_type = set_rate_limit.limit_type and r.limit_key = key;
    return;
  end if;
  insert into postroad.rate_limits (limit_type, limit_key, per_second, per_minute, per_hour, per_day)
  values (limit_type, key, per_second, per_minute, per_hour, per_day)
  on conflict on constraint rate_limits_pkey do update
  set per_second = excluded.per_second, per_minute = excluded.per_minute, per_hour = excluded.per_hour, per_day = excluded.per_day,
    updated_at = clock_timestamp();
end;
$$;

--
-- Name: FUNCTION set_rate_limit(limit_type text, limit_key text, per_second integer, per_minute integer, per_hour integer, per_day integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.set_rate_limit(limit_type text, limit_key text, per_second integer, per_minute integer, per_hour integer, per_day integer) IS 'Sets how many messages may go out to a domain, over a gateway, an IP pool or a channel, for a tenant or to a recipient; null means no limit, and all null removes the row.
Kept in rate_limits; workers do not apply them yet. Raises PR001 (no key, or below 1) and PR002 (unknown limit type).';

--
-- Name: settle(uuid, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.settle(message_id uuid, outcome text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  known record;
begin
  if (outcome = any ('{sent,failed,resend}')) is not true then
    raise exception 'unknown outcome %', coalesce(quote_literal(outcome), 'null')
      using errcode = 'PR002', hint = 'Outcomes: sent, failed, resend.';
  end if;
  perform pg_advisory_xact_lock(1886351220, 3);    -- settled once
  select s.status, s.priority into known from postroad.status(message_id) as s;
  if known.status is distinct from 'unknown' then
    return false;
  end if;
  if outcome = 'resend' then
    return postroad.retry(message_id);
  end if;
  insert into postroad.delivery_events (message_id, event_type, reason)
  values (message_id, outcome, 'settled');
  return true;
end;
$$;

--
-- Name: FUNCTION settle(message_id uuid, outcome text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.settle(message_id uuid, outcome text) IS 'Says what became of a message whose status is unknown: sent, failed, or resend (it is queued again). False when it is not unknown. Raises PR002 for another outcome.';

--
-- Name: size_kb(bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.size_kb(bytes bigint) RETURNS smallint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select least(coalesce(bytes, 0) / 1024, 32767)::smallint
$$;

--
-- Name: FUNCTION size_kb(bytes bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.size_kb(bytes bigint) IS 'Bytes in KiB, as message_queue keeps them: at most 32767.';

--
-- Name: status(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  message postroad.messages;
  place record;
  outcome postroad.delivery_events;
  said postroad.delivery_events;
  raised text;
begin
  select m.* into message from postroad.record_of(status.message_id) as m;
  if not found then
    return;
  end if;
  id := message.message_id;
  channel := message.channel;
  priority := 'P' || message.priority;
  message_type := message.message_type;
  created_at := postroad.created_at(message.message_id);

  select * into place from postroad.place_of(status.message_id);
  -- What ended its latest lease (workers make their ids in the order of time, and one that was taken for dead reports late), the strongest first; or
  -- what was said of it outside of any lease since.
  select e.* into outcome
  from postroad.delivery_events as e
  where e.message_id = status.message_id
    and e.lease_id is not null
  order by postroad.created_at(e.lease_id) desc, e.lease_id,
    case e.event_type when 'sent' then 1 when 'unknown' then 3 when 'deferred' then 4 else 2 end, e.occurred_at desc
  limit 1;
  select e.* into said
  from postroad.delivery_events as e
  where e.message_id = status.message_id
    and e.lease_id is null
    and e.event_type in ('sent', 'failed', 'expired', 'cancelled', 'suppressed')
    and (outcome.event_id is null or e.occurred_at >= outcome.occurred_at)
  order by e.occurred_at desc, e.event_id desc
  limit 1;
  if said.event_id is not null then
    gateway := outcome.gateway;
    external_id := outcome.external_id;
    outcome := said;
    outcome.gateway := coalesce(outcome.gateway, gateway);
    outcome.external_id := coalesce(outcome.external_id, external_id);
  end if;
  select max(e.occurred_at), max(e.occurred_at) filter (where e.event_type = 'sent'),
    max(e.occurred_at) filter (where e.event_type in ('delivered', 'opened', 'clicked')),
    coalesce(max(e.attempt) filter (where e.event_type not in ('expired', 'suppressed', 'cancelled')), 0),
    case                                         -- a bounce counts unless it is of an earlier send, before a retry
      when bool_or(e.lease_id is null and e.event_type = 'bounced' and e.bounce_type is distinct from 'soft'
        and (e.external_id is not distinct from outcome.external_id or not exists (
          select from postroad.delivery_events as x
          where x.message_id = e.message_id
            and x.lease_id <> outcome.lease_id
            and (x.external_id = e.external_id or e.external_id is null and x.event_type in ('sent', 'unknown')))))
        then 'bounced'
      when bool_or(e.event_type in ('delivered', 'opened', 'clicked')) then 'delivered'
    end
  into updated_at, sent_at, delivered_at, attempts, raised
  from postroad.delivery_events as e
  where e.message_id = status.message_id;

  due_at := place.due_at;
  gateway := outcome.gateway;
  external_id := outcome.external_id;
  reason := outcome.reason;
  error := outcome.detail ->> 'text';
  updated_at := coalesce(updated_at, created_at);
  status := case
    when place.place is not null then place.place
    when raised = 'delivered' then raised                             -- by an earlier copy too: it is there
    when outcome.event_type in ('sent', 'unknown') and raised is not null then raised
    when outcome.event_type = 'deferred' then 'unknown'               -- a late word of a worker that was taken for dead
    else coalesce(outcome.event_type, 'unknown')
  end;
  return next;
end;
$$;

--
-- Name: FUNCTION status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) IS 'Where a message is: one row, or none when it is not known. status: scheduled (see due_at; infinity: paused), queued, processing, sent, delivered, bounced, failed, cancelled,
expired, suppressed, unknown (it may have gone out, and is held: see settle). attempts: delivery attempts made. reason: why it was deferred or not sent;
error: the provider''s own words. sent means that the gateway took it, delivered that the recipient''s side did.';

--
-- Name: suppress(text, text, text, bigint, timestamp with time zone, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.suppress(channel text, address text, reason text DEFAULT 'manual'::text, tenant_id bigint DEFAULT NULL::bigint, expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone, source text DEFAULT NULL::text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  key text;
begin
  key := postroad.suppression_address(channel, address);
  if coalesce(btrim(reason), '') = '' then
    raise exception 'a suppression needs a reason'
      using errcode = 'PR001', hint = 'Such as manual, legal, unsubscribe, complaint, hard_bounce.';
  end if;
  insert into postroad.suppression_list as s (address, channel, tenant_id, reason, expires_at, source)
  values (key, channel, tenant_id, reason, expires_at, coalesce(source, session_user))
  on conflict on constraint suppression_list_is_unique do update
  set reason = excluded.reason, expires_at = excluded.expires_at, source = excluded.source, created_at = clock_timestamp()
  where s.expires_at is not null and (excluded.expires_at is null or excluded.expires_at > s.expires_at);
  return found;
end;
$$;

--
-- Name: FUNCTION suppress(channel text, address text, reason text, tenant_id bigint, expires_at timestamp with time zone, source text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.suppress(channel text, address text, reason text, tenant_id bigint, expires_at timestamp with time zone, source text) IS 'Puts an address on the suppression list: for a channel (null: all), for a tenant (null: all), until expires_at (default: for good). Messages to it that wait are stopped when
they are claimed. Returns true when that changed the list; an entry that lasts as long already stays as it is. Raises PR001 (no reason, or an address that the channel
does not know) and PR002 (unknown channel).';

--
-- Name: suppressed_by(text, text, bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.suppressed_by(channel text, recipient text, tenant_id bigint) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select s.reason
    from postroad.suppression_list as s
    where s.address = postroad.suppression_key(suppressed_by.channel, suppressed_by.recipient)
      and (s.channel is null or s.channel = suppressed_by.channel)
      and (s.tenant_id is null or s.tenant_id = suppressed_by.tenant_id)
      and (s.expires_at is null or s.expires_at > clock_timestamp())
    limit 1
  );
end;
$$;

--
-- Name: FUNCTION suppressed_by(channel text, recipient text, tenant_id bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.suppressed_by(channel text, recipient text, tenant_id bigint) IS 'The reason for which a normalised recipient is suppressed now, or null.';

--
-- Name: suppression_address(text, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.suppression_address(channel text, address text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $$
declare
  normalized text;
begin
  if channel is not null and channel <> all ('{email,sms,push,voice,in_app,webhook}') then
    raise exception 'unknown channel %', quote_literal(channel)
      using errcode = 'PR002', hint = 'Channels: email, sms, push, voice, in_app, webhook; null for all.';
  end if;
  normalized := case
    when channel is not null then postroad.normalize_recipient(channel, address)
    else coalesce(postroad.normalize_email(address), postroad.normalize_phone(address), nullif(btrim(address), ''))
  end;
  if normalized is null then
    raise exception 'not a recipient of channel %', coalesce(channel, 'any')
      using errcode = 'PR001', hint = 'An email address, a number as +14155550123, a token, or what the channel sends to.';
  end if;
  return postroad.suppression_key(case when channel is null and postroad.normalize_email(address) is not null then 'email' else channel end, normalized);
end;
$$;

--
-- Name: FUNCTION suppression_address(channel text, address text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.suppression_address(channel text, address text) IS 'An address as the suppression list keeps it. Raises PR001 when the channel does not know such addresses.';

--
-- Name: suppression_key(text, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.suppression_key(channel text, recipient text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select case when channel = 'email' then lower(recipient collate "C") else recipient end
$$;

--
-- Name: FUNCTION suppression_key(channel text, recipient text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.suppression_key(channel text, recipient text) IS 'How suppression_list writes a normalised recipient: an email address in lower case, others as they are.';

--
-- Name: take_probe(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.take_probe(gateway text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  update postroad.gateway_states as s
  set probe_until = clock_timestamp() + interval '3 seconds'       -- then another node may, if this one had no message for it
  where s.gateway = take_probe.gateway
    and s.is_open
    and s.open_until <= clock_timestamp()
    and (s.probe_until is null or s.probe_until < clock_timestamp());
  return found;
end;
$$;

--
-- Name: FUNCTION take_probe(gateway text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.take_probe(gateway text) IS 'Whether this node is the one that sends the next message to a gateway whose breaker is open, to see.';

--
-- Name: timeline(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.timeline(message_id uuid) RETURNS TABLE(occurred_at timestamp with time zone, event_type text, attempt smallint, gateway text, external_id text, reason text, bounce_type text, detail jsonb)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return query
  select postroad.created_at(m.message_id), 'queued'::text collate "C", null::smallint, null::text, null::text, null::text, null::text,
    case when m.scheduled_for is not null then jsonb_build_object('scheduled_for', m.scheduled_for) end
  from postroad.record_of(timeline.message_id) as m
  union all (
    select e.occurred_at, e.event_type, e.attempt, e.gateway, e.external_id, e.reason, e.bounce_type, e.detail
    from postroad.delivery_events as e
    where e.message_id = timeline.message_id
    order by e.occurred_at, e.event_id
  );
end;
$$;

--
-- Name: FUNCTION timeline(message_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.timeline(message_id uuid) IS 'What happened to a message, oldest first; queued is the row in messages. detail: the provider''s own code and words.';

--
-- Name: unregister_worker(bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.unregister_worker(worker_id bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  delete from postroad.worker_sessions as w
  where w.worker_id = unregister_worker.worker_id
    and not exists (select from postroad.leases as l where l.worker_id = w.worker_id);
end;
$$;

--
-- Name: FUNCTION unregister_worker(worker_id bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.unregister_worker(worker_id bigint) IS 'Says that a worker stopped; with a lease left it stays, and is rescued.';

--
-- Name: leases; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.leases (
    lease_id uuid NOT NULL,
    worker_id bigint NOT NULL,
    leased_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    priority smallint NOT NULL,
    rescues smallint DEFAULT 0 NOT NULL,
    message_ids uuid[] NOT NULL,
    attempts smallint[] NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000');
ALTER TABLE ONLY postroad.leases ALTER COLUMN message_ids SET STORAGE EXTERNAL;
ALTER TABLE ONLY postroad.leases ALTER COLUMN attempts SET STORAGE EXTERNAL;

--
-- Name: TABLE leases; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.leases IS 'One row a claimed batch. Deleted when the outcome of each message in it is an event.';

--
-- Name: COLUMN leases.rescues; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.leases.rescues IS 'Rescues of its message: a rescued message is claimed alone.';

--
-- Name: unsent_of(postroad.leases); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.unsent_of(lease postroad.leases) RETURNS TABLE(message_id uuid, attempt smallint, size_kb smallint)
    LANGUAGE sql
    AS $$
  select u.message_id, u.attempt,
    postroad.size_kb(coalesce((select pg_column_size(m.*) from postroad.record_of(u.message_id) as m), 0))
  from unnest(lease.message_ids, lease.attempts) as u (message_id, attempt)
  where not exists (
    select from postroad.delivery_events as e
    where e.message_id = u.message_id
      and e.lease_id = lease.lease_id
  )
$$;

--
-- Name: FUNCTION unsent_of(lease postroad.leases); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.unsent_of(lease postroad.leases) IS 'The messages of a lease that have no event of it.';

--
-- Name: unsuppress(text, text, bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.unsuppress(channel text, address text, tenant_id bigint DEFAULT NULL::bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  key constant text := postroad.suppression_address(channel, address);
begin
  delete from postroad.suppression_list as s
  where s.address = key
    and s.channel is not distinct from unsuppress.channel
    and s.tenant_id is not distinct from unsuppress.tenant_id;
  return found;
end;
$$;

--
-- Name: FUNCTION unsuppress(channel text, address text, tenant_id bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.unsuppress(channel text, address text, tenant_id bigint) IS 'Takes an address off the suppression list, for exactly that channel and tenant (null: the entry for all). False when it was not on it.';

--
-- Name: use_idempotency_key(bigint, text, uuid, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.use_idempotency_key(tenant_id bigint, key text, new_id uuid, call jsonb, OUT message_id uuid, OUT verdict text, OUT reason text) RETURNS record
    LANGUAGE plpgsql
    AS $$
declare
  fingerprint bytea := sha256(convert_to(call::text, 'UTF8'));
  known postroad.idempotency_keys;
begin
  loop
    insert into postroad.idempotency_keys (tenant_id, key, message_id, fingerprint)
    values (use_idempotency_key.tenant_id, use_idempotency_key.key, new_id, fingerprint)
    on conflict do nothing;                     -- waits for a transaction that is inserting the same key
    if found then
      message_id := new_id;
      return;
    end if;
    select k.* into known
    from postroad.idempotency_keys as k
    where k.key = use_idempotency_key.key
      and k.tenant_id is not distinct from use_idempotency_key.tenant_id
    for update;
    if not found then
      continue;                                 -- purged in between
    end if;
    if known.created_at < clock_timestamp() - interval '7 days' then
      delete from postroad.idempotency_keys as k
      where k.key = use_idempotency_key.key
        and k.tenant_id is not distinct from use_idempotency_key.tenant_id;
      continue;
    end if;
    if known.fingerprint = fingerprint then
      message_id := known.message_id;
      verdict := 'duplicate';
      reason := 'idempotency_key';
    else
      verdict := 'invalid';
      reason := 'key_reused';
    end if;
    return;
  end loop;
end;
$$;

--
-- Name: FUNCTION use_idempotency_key(tenant_id bigint, key text, new_id uuid, call jsonb, OUT message_id uuid, OUT verdict text, OUT reason text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.use_idempotency_key(tenant_id bigint, key text, new_id uuid, call jsonb, OUT message_id uuid, OUT verdict text, OUT reason text) IS 'Takes an idempotency key for new_id, for 7 days. verdict is null when it was free; duplicate, with the first id, when the same call was made with it; invalid,
reason key_reused, when another one was. A call with the same key in an open transaction is waited for.';

--
-- Name: uuid_add(uuid, bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.uuid_add(base uuid, steps bigint) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select (left(base::text, 24) || lpad(to_hex((('x0000' || right(base::text, 12))::bit(64)::bigint + steps) & 281474976710655), 12, '0'))::uuid
$$;

--
-- Name: FUNCTION uuid_add(base uuid, steps bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.uuid_add(base uuid, steps bigint) IS 'The UUID that many steps on, in its last 48 bits: the ids of a bulk send count up from a random one (RFC 9562, section 6.2, method 2).';

--
-- Name: uuid_at(timestamp with time zone); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.uuid_at(at timestamp with time zone) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

--
-- Name: FUNCTION uuid_at(at timestamp with time zone); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.uuid_at(at timestamp with time zone) IS 'The lowest UUIDv7 that can be made at a time: the bound between two days.';

--
-- Name: uuid_v7(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.uuid_v7() RETURNS uuid
    LANGUAGE sql PARALLEL SAFE
    AS $$
  select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
    placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
$$;

--
-- Name: FUNCTION uuid_v7(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.uuid_v7() IS 'A new UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then random bits.';

--
-- Name: wake(smallint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.wake(priority smallint) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  if current_setting('postroad.notify', true) = 'off' then
    return;
  end if;
  if pg_try_advisory_lock_shared(1886351220, 20 + priority) then        -- nobody sleeps; unlocked at once: held, it would make the pools' own tries fail
    perform pg_advisory_unlock_shared(1886351220, 20 + priority);
  elsif pg_try_advisory_lock_shared(1886351220, 10 + priority) then     -- somebody sleeps, and nobody is awake
    perform pg_advisory_unlock_shared(1886351220, 10 + priority);
    perform pg_notify('postroad_p' || priority, '');
  end if;
end;
$$;

--
-- Name: FUNCTION wake(priority smallint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.wake(priority smallint) IS 'Notifies the pools of a priority, only when one of them sleeps and none is awake: a NOTIFY makes commits go one at a time. The setting
postroad.notify = off of the session leaves it out (for callers who prepare transactions); the fallback poll of the pools then finds the message.';

--
-- Name: channel_health; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.channel_health (
    gateway text NOT NULL,
    channel text NOT NULL,
    "position" smallint NOT NULL,
    registered_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_success_at timestamp with time zone,
    last_failure_at timestamp with time zone,
    last_reason text,
    sent bigint DEFAULT 0 NOT NULL,
    failed bigint DEFAULT 0 NOT NULL,
    success_rate_1h real,
    success_rate_24h real,
    average_latency_ms real,
    p95_latency_ms real,
    current_rate real,
    maximum_rate real
)
WITH (fillfactor='50');

--
-- Name: TABLE channel_health; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.channel_health IS 'The gateways that workers registered for each channel, and how they do.';

--
-- Name: COLUMN channel_health."position"; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.channel_health."position" IS 'First choice is 1.';

--
-- Name: COLUMN channel_health.success_rate_1h; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.channel_health.success_rate_1h IS '0 to 1; null without calls.';

--
-- Name: COLUMN channel_health.p95_latency_ms; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.channel_health.p95_latency_ms IS 'Of the last hour, to the bucket of gateway_minutes.latencies.';

--
-- Name: COLUMN channel_health.current_rate; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.channel_health.current_rate IS 'Calls a second in the last full minute.';

--
-- Name: COLUMN channel_health.maximum_rate; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.channel_health.maximum_rate IS 'The most calls a second in a minute of the last 24 hours.';

--
-- Name: event_id_seq; Type: SEQUENCE; Schema: postroad; Owner: -
--

CREATE SEQUENCE postroad.event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 64;

--
-- Name: SEQUENCE event_id_seq; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON SEQUENCE postroad.event_id_seq IS 'Ids of delivery events; a session takes 64 at a time.';

--
-- Name: delivery_events; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.delivery_events (
    event_id bigint DEFAULT nextval('postroad.event_id_seq'::regclass) NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    message_id uuid NOT NULL,
    lease_id uuid,
    attempt smallint,
    event_type text NOT NULL COLLATE pg_catalog."C",
    gateway text COLLATE pg_catalog."C",
    external_id text COLLATE pg_catalog."C",
    reason text COLLATE pg_catalog."C",
    bounce_type text COLLATE pg_catalog."C",
    source_key text COLLATE pg_catalog."C",
    detail jsonb,
    CONSTRAINT event_type_is_known CHECK ((event_type = ANY (ARRAY['sent'::text, 'deferred'::text, 'delivered'::text, 'opened'::text, 'clicked'::text, 'converted'::text, 'bounced'::text, 'complained'::text, 'unsubscribed'::text, 'failed'::text, 'expired'::text, 'cancelled'::text, 'suppressed'::text, 'unknown'::text, 'received'::text])))
)
PARTITION BY RANGE (message_id);

--
-- Name: TABLE delivery_events; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.delivery_events IS 'What happened to messages: append-only. The event queued is the row in messages.';

--
-- Name: COLUMN delivery_events.xid; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.delivery_events.xid IS 'The transaction that wrote it: readers go from snapshot to snapshot and skip none.';

--
-- Name: COLUMN delivery_events.lease_id; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.delivery_events.lease_id IS 'The lease under which a worker wrote it; null for events from elsewhere.';

--
-- Name: COLUMN delivery_events.attempt; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.delivery_events.attempt IS 'The attempt it ended, from 1.';

--
-- Name: COLUMN delivery_events.reason; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.delivery_events.reason IS 'Machine-readable reason, wherever a message was not sent.';

--
-- Name: COLUMN delivery_events.source_key; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.delivery_events.source_key IS 'The provider''s id of the event: the same event is kept once.';

--
-- Name: COLUMN delivery_events.detail; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.delivery_events.detail IS 'The provider''s own code and words.';

--
-- Name: channel_stats; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.channel_stats AS
 SELECT m.channel,
    count(*) AS enqueued_1h,
    count(*) FILTER (WHERE (o.event_type = 'sent'::text)) AS sent_1h,
    count(*) FILTER (WHERE (o.event_type = ANY (ARRAY['failed'::text, 'bounced'::text]))) AS failed_1h,
    count(*) FILTER (WHERE (o.event_type = ANY (ARRAY['suppressed'::text, 'expired'::text, 'cancelled'::text]))) AS not_sent_1h,
    count(*) FILTER (WHERE ((o.event_type IS NULL) OR (o.event_type = 'deferred'::text))) AS waiting_1h
   FROM (postroad.messages m
     LEFT JOIN LATERAL ( SELECT e.event_type
           FROM postroad.delivery_events e
          WHERE ((e.message_id = m.message_id) AND (e.event_type = ANY (ARRAY['sent'::text, 'failed'::text, 'bounced'::text, 'suppressed'::text, 'expired'::text, 'cancelled'::text, 'deferred'::text, 'unknown'::text])))
          ORDER BY e.occurred_at DESC, e.event_id DESC
         LIMIT 1) o ON (true))
  WHERE (m.message_id >= postroad.uuid_at((clock_timestamp() - '01:00:00'::interval)))
  GROUP BY m.channel;

--
-- Name: VIEW channel_stats; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.channel_stats IS 'Each channel: what became of the messages enqueued in the last hour.';

--
-- Name: contents; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.contents (
    content_id uuid NOT NULL,
    subject text,
    body text,
    html text,
    data jsonb,
    options jsonb
)
PARTITION BY RANGE (content_id);

--
-- Name: TABLE contents; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.contents IS 'What the messages of a bulk send share, stored once.';

--
-- Name: contents_default; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.contents_default (
    content_id uuid NOT NULL,
    subject text,
    body text,
    html text,
    data jsonb,
    options jsonb
);

--
-- Name: TABLE contents_default; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.contents_default IS 'Catches what no day was made for; maintenance moves it to its day.';

--
-- Name: contents_kept; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.contents_kept (
    content_id uuid NOT NULL,
    subject text,
    body text,
    html text,
    data jsonb,
    options jsonb
);

--
-- Name: TABLE contents_kept; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.contents_kept IS 'Contents of messages that still waited when their day was dropped.';

--
-- Name: delivery_rates; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.delivery_rates AS
 SELECT date_trunc('minute'::text, e.occurred_at) AS minute,
    e.gateway,
    e.event_type,
    count(*) AS events
   FROM postroad.delivery_events e
  WHERE (e.message_id >= postroad.uuid_at((clock_timestamp() - '01:00:00'::interval)))
  GROUP BY (date_trunc('minute'::text, e.occurred_at)), e.gateway, e.event_type;

--
-- Name: VIEW delivery_rates; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.delivery_rates IS 'Events by minute and gateway, of messages enqueued in the last hour.';

--
-- Name: failed_messages; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.failed_messages AS
 SELECT e.message_id,
    e.occurred_at AS failed_at,
    m.channel,
    ('P'::text || m.priority) AS priority,
    m.message_type,
    m.tenant_id,
    m.source_type,
    m.source_id,
    e.event_type,
    e.gateway,
    e.attempt,
    e.reason,
    (e.detail ->> 'code'::text) AS code,
    (e.detail ->> 'text'::text) AS error
   FROM (postroad.delivery_events e
     LEFT JOIN postroad.messages m ON ((m.message_id = e.message_id)))
  WHERE (e.event_type = ANY (ARRAY['failed'::text, 'bounced'::text]));

--
-- Name: VIEW failed_messages; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.failed_messages IS 'What failed or bounced; ask with failed_at >= … order by failed_at. See retry and retry_failed.';

--
-- Name: gateway_minutes; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.gateway_minutes (
    minute timestamp with time zone NOT NULL,
    gateway text NOT NULL,
    channel text NOT NULL,
    sent bigint DEFAULT 0 NOT NULL,
    failed bigint DEFAULT 0 NOT NULL,
    latencies bigint[] NOT NULL
)
WITH (fillfactor='50');

--
-- Name: TABLE gateway_minutes; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.gateway_minutes IS 'What gateways answered, a row a minute: workers add to it every few seconds. Kept for 25 hours.';

--
-- Name: COLUMN gateway_minutes.latencies; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.gateway_minutes.latencies IS 'Calls by latency: bucket n counts those of up to 2^n ms, from n = 0 to 15; the last bucket counts the rest.';

--
-- Name: gateway_routes; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.gateway_routes (
    channel text NOT NULL,
    message_type text NOT NULL,
    gateways text[] NOT NULL
);

--
-- Name: TABLE gateway_routes; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.gateway_routes IS 'Gateways of some types of messages, first choice first, instead of those of their channel (channel_health).';

--
-- Name: gateway_states; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.gateway_states (
    gateway text NOT NULL,
    is_open boolean DEFAULT false NOT NULL,
    cause text,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    open_until timestamp with time zone,
    probe_until timestamp with time zone,
    weight integer,
    CONSTRAINT weight_is_not_negative CHECK ((weight >= 0))
)
WITH (fillfactor='50');

--
-- Name: TABLE gateway_states; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.gateway_states IS 'Each gateway''s breaker and weight, as all nodes see them.';

--
-- Name: COLUMN gateway_states.is_open; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.gateway_states.is_open IS 'An open breaker: no traffic until a probe succeeds.';

--
-- Name: COLUMN gateway_states.probe_until; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.gateway_states.probe_until IS 'A node is probing; another may after this.';

--
-- Name: COLUMN gateway_states.weight; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.gateway_states.weight IS 'Share of the channel''s traffic; null: in configured order.';

--
-- Name: pauses; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.pauses (
    pause_id bigint NOT NULL,
    scope text NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    paused_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    paused_by text DEFAULT SESSION_USER NOT NULL,
    reason text NOT NULL,
    CONSTRAINT scope_is_known CHECK ((scope = ANY (ARRAY['priority'::text, 'channel'::text, 'gateway'::text, 'source'::text, 'tenant'::text, 'domain'::text])))
);

--
-- Name: TABLE pauses; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.pauses IS 'What is paused now, by whom and why.';

--
-- Name: gateway_stats; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.gateway_stats AS
 SELECT h.gateway,
    h.channel,
    h."position",
    ( SELECT x.reason
           FROM postroad.pauses x
          WHERE ((x.scope = 'gateway'::text) AND (x.key = h.gateway))) AS paused,
    h.registered_at,
    COALESCE(r.sent, (0)::bigint) AS sent_1h,
    COALESCE(r.failed, (0)::bigint) AS failed_1h,
    r.last_sent_at
   FROM (postroad.channel_health h
     LEFT JOIN ( SELECT e.gateway,
            m.channel,
            count(*) FILTER (WHERE (e.event_type = 'sent'::text)) AS sent,
            count(*) FILTER (WHERE (e.event_type = ANY (ARRAY['failed'::text, 'bounced'::text, 'deferred'::text, 'unknown'::text]))) AS failed,
            max(e.occurred_at) FILTER (WHERE (e.event_type = 'sent'::text)) AS last_sent_at
           FROM (postroad.delivery_events e
             JOIN postroad.messages m USING (message_id))
          WHERE (e.message_id >= postroad.uuid_at((clock_timestamp() - '01:00:00'::interval)))
          GROUP BY e.gateway, m.channel) r USING (gateway, channel));

--
-- Name: VIEW gateway_stats; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.gateway_stats IS 'Each gateway of each channel, with what it did with the messages enqueued in the last hour.';

--
-- Name: health_log; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.health_log (
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    gateway text NOT NULL,
    state text NOT NULL,
    cause text,
    worker_id bigint
);

--
-- Name: TABLE health_log; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.health_log IS 'Each change of a gateway''s breaker: open (and why) or closed; append-only.';

--
-- Name: idempotency_keys; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.idempotency_keys (
    tenant_id bigint,
    key text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    message_id uuid NOT NULL,
    fingerprint bytea NOT NULL
);

--
-- Name: TABLE idempotency_keys; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.idempotency_keys IS 'Keys seen in the last 7 days, with the message or batch that each made and a fingerprint of the call.';

--
-- Name: worker_sessions; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.worker_sessions (
    worker_id bigint NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    heartbeat_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    version text NOT NULL,
    priorities smallint[] NOT NULL
)
WITH (fillfactor='50');

--
-- Name: TABLE worker_sessions; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.worker_sessions IS 'Worker processes that run: each holds the session advisory lock worker_id for as long as it lives.';

--
-- Name: in_flight; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.in_flight AS
 SELECT l.lease_id,
    ('P'::text || l.priority) AS priority,
    l.worker_id,
    w.host,
    w.pid,
    l.leased_at,
    (clock_timestamp() - l.leased_at) AS age,
    ((clock_timestamp() - l.leased_at) > '00:10:00'::interval) AS overdue,
    cardinality(l.message_ids) AS messages,
    l.rescues
   FROM (postroad.leases l
     LEFT JOIN postroad.worker_sessions w USING (worker_id));

--
-- Name: VIEW in_flight; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.in_flight IS 'Claimed batches. A lease older than 10 minutes is overdue: an alarm, which never releases it by itself. No host: its worker is gone, and it is about to be rescued.';

--
-- Name: intents; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.intents (
    lease_id uuid NOT NULL,
    message_ids uuid[] NOT NULL
);
ALTER TABLE ONLY postroad.intents ALTER COLUMN message_ids SET STORAGE EXTERNAL;

--
-- Name: TABLE intents; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.intents IS 'Messages with on_unknown hold that a worker is about to send: if it dies, they are unknown. Deleted with their lease.';

--
-- Name: ip_pools; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.ip_pools (
    message_type text NOT NULL,
    ip_pool text NOT NULL
);

--
-- Name: TABLE ip_pools; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.ip_pools IS 'The IP pool of mails that name none.';

--
-- Name: late_events; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.late_events (
    event_id bigint DEFAULT nextval('postroad.event_id_seq'::regclass) NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    message_id uuid NOT NULL,
    lease_id uuid,
    attempt smallint,
    event_type text NOT NULL COLLATE pg_catalog."C",
    gateway text COLLATE pg_catalog."C",
    external_id text COLLATE pg_catalog."C",
    reason text COLLATE pg_catalog."C",
    bounce_type text COLLATE pg_catalog."C",
    source_key text COLLATE pg_catalog."C",
    detail jsonb,
    CONSTRAINT event_type_is_known CHECK ((event_type = ANY (ARRAY['sent'::text, 'deferred'::text, 'delivered'::text, 'opened'::text, 'clicked'::text, 'converted'::text, 'bounced'::text, 'complained'::text, 'unsubscribed'::text, 'failed'::text, 'expired'::text, 'cancelled'::text, 'suppressed'::text, 'unknown'::text, 'received'::text])))
);

--
-- Name: TABLE late_events; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.late_events IS 'Events of messages whose day is gone.';

--
-- Name: message_queue; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.message_queue (
    seq bigint NOT NULL,
    message_id uuid NOT NULL,
    priority smallint NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    rescues smallint DEFAULT 0 NOT NULL,
    size_kb smallint DEFAULT 0 NOT NULL
)
PARTITION BY LIST (priority);

--
-- Name: TABLE message_queue; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.message_queue IS 'Messages that may be sent now: inserted, claimed by a delete, never updated.';

--
-- Name: COLUMN message_queue.seq; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.message_queue.seq IS 'The order of claims, from the sequence of the priority.';

--
-- Name: COLUMN message_queue.attempt; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.message_queue.attempt IS 'Delivery attempts made so far.';

--
-- Name: COLUMN message_queue.rescues; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.message_queue.rescues IS 'How often a worker died with it; the third time it ends failed, reason worker_crashed.';

--
-- Name: COLUMN message_queue.size_kb; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.message_queue.size_kb IS 'Size of the message in KiB, at most 32767: a claim is bounded in bytes too.';

--
-- Name: message_queue_p0; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.message_queue_p0 (
    seq bigint NOT NULL,
    message_id uuid NOT NULL,
    priority smallint NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    rescues smallint DEFAULT 0 NOT NULL,
    size_kb smallint DEFAULT 0 NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='20000', autovacuum_analyze_scale_factor='0.5');

--
-- Name: TABLE message_queue_p0; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.message_queue_p0 IS 'Messages of priority P0 that may be sent now.';

--
-- Name: message_queue_p1; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.message_queue_p1 (
    seq bigint NOT NULL,
    message_id uuid NOT NULL,
    priority smallint NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    rescues smallint DEFAULT 0 NOT NULL,
    size_kb smallint DEFAULT 0 NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='20000', autovacuum_analyze_scale_factor='0.5');

--
-- Name: TABLE message_queue_p1; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.message_queue_p1 IS 'Messages of priority P1 that may be sent now.';

--
-- Name: message_queue_p2; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.message_queue_p2 (
    seq bigint NOT NULL,
    message_id uuid NOT NULL,
    priority smallint NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    rescues smallint DEFAULT 0 NOT NULL,
    size_kb smallint DEFAULT 0 NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='20000', autovacuum_analyze_scale_factor='0.5');

--
-- Name: TABLE message_queue_p2; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.message_queue_p2 IS 'Messages of priority P2 that may be sent now.';

--
-- Name: message_queue_p3; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.message_queue_p3 (
    seq bigint NOT NULL,
    message_id uuid NOT NULL,
    priority smallint NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    rescues smallint DEFAULT 0 NOT NULL,
    size_kb smallint DEFAULT 0 NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='20000', autovacuum_analyze_scale_factor='0.5');

--
-- Name: TABLE message_queue_p3; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.message_queue_p3 IS 'Messages of priority P3 that may be sent now.';

--
-- Name: message_queue_p4; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.message_queue_p4 (
    seq bigint NOT NULL,
    message_id uuid NOT NULL,
    priority smallint NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    rescues smallint DEFAULT 0 NOT NULL,
    size_kb smallint DEFAULT 0 NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='20000', autovacuum_analyze_scale_factor='0.5');

--
-- Name: TABLE message_queue_p4; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.message_queue_p4 IS 'Messages of priority P4 that may be sent now.';

--
-- Name: message_templates; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.message_templates (
    slug text NOT NULL,
    version integer NOT NULL,
    channel text NOT NULL,
    locale text DEFAULT ''::text NOT NULL,
    subject text,
    body text,
    html text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    created_by text DEFAULT SESSION_USER NOT NULL
);

--
-- Name: TABLE message_templates; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.message_templates IS 'Templates by slug, channel, version and locale.';

--
-- Name: messages_default; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.messages_default (
    message_id uuid NOT NULL,
    tenant_id bigint,
    recipient_id bigint,
    source_id bigint,
    scheduled_for timestamp with time zone,
    expires_at timestamp with time zone,
    content_id uuid,
    batch_id uuid,
    priority smallint NOT NULL,
    template_version integer,
    channel text NOT NULL COLLATE pg_catalog."C",
    message_type text NOT NULL COLLATE pg_catalog."C",
    recipient text NOT NULL COLLATE pg_catalog."C",
    recipient_type text COLLATE pg_catalog."C",
    source_type text COLLATE pg_catalog."C",
    ip_pool text COLLATE pg_catalog."C",
    gateway text COLLATE pg_catalog."C",
    locale text COLLATE pg_catalog."C",
    template text COLLATE pg_catalog."C",
    subject text,
    body text,
    html text,
    data jsonb,
    options jsonb
);

--
-- Name: TABLE messages_default; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.messages_default IS 'Catches what no day was made for; maintenance moves it to its day.';

--
-- Name: pauses_pause_id_seq; Type: SEQUENCE; Schema: postroad; Owner: -
--

ALTER TABLE postroad.pauses ALTER COLUMN pause_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME postroad.pauses_pause_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: queue_floor_p0; Type: SEQUENCE; Schema: postroad; Owner: -
--

CREATE SEQUENCE postroad.queue_floor_p0
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;

--
-- Name: SEQUENCE queue_floor_p0; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON SEQUENCE postroad.queue_floor_p0 IS 'No row that waits has a lower seq. A sequence, since it is not versioned: a snapshot held elsewhere leaves no dead versions of it.';

--
-- Name: queue_floor_p1; Type: SEQUENCE; Schema: postroad; Owner: -
--

CREATE SEQUENCE postroad.queue_floor_p1
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;

--
-- Name: SEQUENCE queue_floor_p1; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON SEQUENCE postroad.queue_floor_p1 IS 'No row that waits has a lower seq. A sequence, since it is not versioned: a snapshot held elsewhere leaves no dead versions of it.';

--
-- Name: queue_floor_p2; Type: SEQUENCE; Schema: postroad; Owner: -
--

CREATE SEQUENCE postroad.queue_floor_p2
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;

--
-- Name: SEQUENCE queue_floor_p2; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON SEQUENCE postroad.queue_floor_p2 IS 'No row that waits has a lower seq. A sequence, since it is not versioned: a snapshot held elsewhere leaves no dead versions of it.';

--
-- Name: queue_floor_p3; Type: SEQUENCE; Schema: postroad; Owner: -
--

CREATE SEQUENCE postroad.queue_floor_p3
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;

--
-- Name: SEQUENCE queue_floor_p3; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON SEQUENCE postroad.queue_floor_p3 IS 'No row that waits has a lower seq. A sequence, since it is not versioned: a snapshot held elsewhere leaves no dead versions of it.';

--
-- Name: queue_floor_p4; Type: SEQUENCE; Schema: postroad; Owner: -
--

CREATE SEQUENCE postroad.queue_floor_p4
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;

--
-- Name: SEQUENCE queue_floor_p4; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON SEQUENCE postroad.queue_floor_p4 IS 'No row that waits has a lower seq. A sequence, since it is not versioned: a snapshot held elsewhere leaves no dead versions of it.';

--
-- Name: queue_seq_p0; Type: SEQUENCE; Schema: postroad; Owner: -
--

CREATE SEQUENCE postroad.queue_seq_p0
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

--
-- Name: SEQUENCE queue_seq_p0; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON SEQUENCE postroad.queue_seq_p0 IS 'The order of claims.';

--
-- Name: queue_seq_p1; Type: SEQUENCE; Schema: postroad; Owner: -
--

CREATE SEQUENCE postroad.queue_seq_p1
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

--
-- Name: SEQUENCE queue_seq_p1; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON SEQUENCE postroad.queue_seq_p1 IS 'The order of claims.';

--
-- Name: queue_seq_p2; Type: SEQUENCE; Schema: postroad; Owner: -
--

CREATE SEQUENCE postroad.queue_seq_p2
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

--
-- Name: SEQUENCE queue_seq_p2; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON SEQUENCE postroad.queue_seq_p2 IS 'The order of claims.';

--
-- Name: queue_seq_p3; Type: SEQUENCE; Schema: postroad; Owner: -
--

CREATE SEQUENCE postroad.queue_seq_p3
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

--
-- Name: SEQUENCE queue_seq_p3; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON SEQUENCE postroad.queue_seq_p3 IS 'The order of claims.';

--
-- Name: queue_seq_p4; Type: SEQUENCE; Schema: postroad; Owner: -
--

CREATE SEQUENCE postroad.queue_seq_p4
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

--
-- Name: SEQUENCE queue_seq_p4; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON SEQUENCE postroad.queue_seq_p4 IS 'The order of claims.';

--
-- Name: scheduled; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.scheduled (
    message_id uuid NOT NULL,
    due_at timestamp with time zone NOT NULL,
    pause_id bigint,
    priority smallint NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    rescues smallint DEFAULT 0 NOT NULL
);

--
-- Name: TABLE scheduled; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.scheduled IS 'Messages that wait for their time: scheduled, between two attempts, or parked by a pause (due at infinity).';

--
-- Name: queue_stats; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.queue_stats AS
 SELECT ('P'::text || p.p) AS priority,
    d.ready,
    d.oldest_at,
    (clock_timestamp() - d.oldest_at) AS oldest_age,
    ((clock_timestamp() - d.oldest_at) > postroad.overdue_after((p.p)::smallint)) AS overdue,
    ( SELECT count(*) AS count
           FROM postroad.scheduled s
          WHERE ((s.priority = p.p) AND (s.due_at < 'infinity'::timestamp with time zone))) AS scheduled,
    ( SELECT count(*) AS count
           FROM postroad.scheduled s
          WHERE ((s.priority = p.p) AND (s.due_at = 'infinity'::timestamp with time zone))) AS parked,
    ( SELECT COALESCE(sum(cardinality(l.message_ids)), (0)::bigint) AS "coalesce"
           FROM postroad.leases l
          WHERE (l.priority = p.p)) AS processing,
    ( SELECT x.reason
           FROM postroad.pauses x
          WHERE ((x.scope = 'priority'::text) AND (x.key = ('P'::text || p.p)))) AS paused
   FROM generate_series(0, 4) p(p),
    LATERAL postroad.queue_depth((p.p)::smallint) d(ready, oldest_at);

--
-- Name: VIEW queue_stats; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.queue_stats IS 'One row a priority: messages ready to be sent (exact below 10,000), the oldest of them and whether it is overdue, scheduled ones (retries too), ones parked by a pause,
ones in leases, and why the priority is paused.';

--
-- Name: rate_limits; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.rate_limits (
    limit_type text NOT NULL,
    limit_key text NOT NULL COLLATE pg_catalog."C",
    per_second integer,
    per_minute integer,
    per_hour integer,
    per_day integer,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT limit_type_is_known CHECK ((limit_type = ANY (ARRAY['domain'::text, 'gateway'::text, 'ip_pool'::text, 'channel'::text, 'tenant'::text, 'recipient'::text]))),
    CONSTRAINT limits_are_positive CHECK (((COALESCE(per_second, 1) > 0) AND (COALESCE(per_minute, 1) > 0) AND (COALESCE(per_hour, 1) > 0) AND (COALESCE(per_day, 1) > 0)))
);

--
-- Name: TABLE rate_limits; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.rate_limits IS 'How much may go out a second, minute, hour and day; null means no limit.';

--
-- Name: sms_prices; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.sms_prices (
    gateway text NOT NULL,
    prefix text NOT NULL,
    price double precision NOT NULL
);

--
-- Name: TABLE sms_prices; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.sms_prices IS 'What a part of a text message costs by a gateway, by the digits with which the number begins.';

--
-- Name: suppression_list; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.suppression_list (
    address text NOT NULL COLLATE pg_catalog."C",
    channel text COLLATE pg_catalog."C",
    tenant_id bigint,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone,
    event_id bigint,
    reason text NOT NULL,
    source text
);

--
-- Name: TABLE suppression_list; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.suppression_list IS 'Recipients that we do not send to.';

--
-- Name: COLUMN suppression_list.address; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.suppression_list.address IS 'As postroad.suppression_key writes it: an email address in lower case.';

--
-- Name: COLUMN suppression_list.channel; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.suppression_list.channel IS 'Null: every channel.';

--
-- Name: COLUMN suppression_list.tenant_id; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.suppression_list.tenant_id IS 'Null: every tenant.';

--
-- Name: COLUMN suppression_list.expires_at; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.suppression_list.expires_at IS 'Null: for good.';

--
-- Name: workers; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.workers AS
 SELECT w.worker_id,
    w.host,
    w.pid,
    w.version,
    ARRAY( SELECT ('P'::text || u.p)
           FROM unnest(w.priorities) u(p)
          ORDER BY u.p) AS priorities,
    w.started_at,
    w.heartbeat_at,
    (w.heartbeat_at > (clock_timestamp() - '00:00:15'::interval)) AS alive,
    ( SELECT count(*) AS count
           FROM postroad.leases l
          WHERE (l.worker_id = w.worker_id)) AS leases
   FROM postroad.worker_sessions w;

--
-- Name: VIEW workers; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.workers IS 'Worker processes that are registered.';

--
-- Name: contents_default; Type: TABLE ATTACH; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.contents ATTACH PARTITION postroad.contents_default DEFAULT;

--
-- Name: late_events; Type: TABLE ATTACH; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.delivery_events ATTACH PARTITION postroad.late_events DEFAULT;

--
-- Name: message_queue_p0; Type: TABLE ATTACH; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.message_queue ATTACH PARTITION postroad.message_queue_p0 FOR VALUES IN ('0');

--
-- Name: message_queue_p1; Type: TABLE ATTACH; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.message_queue ATTACH PARTITION postroad.message_queue_p1 FOR VALUES IN ('1');

--
-- Name: message_queue_p2; Type: TABLE ATTACH; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.message_queue ATTACH PARTITION postroad.message_queue_p2 FOR VALUES IN ('2');

--
-- Name: message_queue_p3; Type: TABLE ATTACH; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.message_queue ATTACH PARTITION postroad.message_queue_p3 FOR VALUES IN ('3');

--
-- Name: message_queue_p4; Type: TABLE ATTACH; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.message_queue ATTACH PARTITION postroad.message_queue_p4 FOR VALUES IN ('4');

--
-- Name: messages_default; Type: TABLE ATTACH; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.messages ATTACH PARTITION postroad.messages_default DEFAULT;

--
-- Name: channel_health channel_health_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.channel_health
    ADD CONSTRAINT channel_health_pkey PRIMARY KEY (gateway, channel);

--
-- Name: contents contents_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.contents
    ADD CONSTRAINT contents_pkey PRIMARY KEY (content_id);

--
-- Name: contents_default contents_default_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.contents_default
    ADD CONSTRAINT contents_default_pkey PRIMARY KEY (content_id);

--
-- Name: contents_kept contents_kept_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.contents_kept
    ADD CONSTRAINT contents_kept_pkey PRIMARY KEY (content_id);

--
-- Name: gateway_minutes gateway_minutes_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.gateway_minutes
    ADD CONSTRAINT gateway_minutes_pkey PRIMARY KEY (minute, gateway, channel);

--
-- Name: gateway_routes gateway_routes_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.gateway_routes
    ADD CONSTRAINT gateway_routes_pkey PRIMARY KEY (channel, message_type);

--
-- Name: gateway_states gateway_states_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.gateway_states
    ADD CONSTRAINT gateway_states_pkey PRIMARY KEY (gateway);

--
-- Name: idempotency_keys idempotency_keys_are_unique; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.idempotency_keys
    ADD CONSTRAINT idempotency_keys_are_unique UNIQUE NULLS NOT DISTINCT (tenant_id, key);

--
-- Name: ip_pools ip_pools_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.ip_pools
    ADD CONSTRAINT ip_pools_pkey PRIMARY KEY (message_type);

--
-- Name: leases leases_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (lease_id);

--
-- Name: message_templates message_templates_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.message_templates
    ADD CONSTRAINT message_templates_pkey PRIMARY KEY (slug, channel, version, locale);

--
-- Name: messages messages_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (message_id);

--
-- Name: messages_default messages_default_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.messages_default
    ADD CONSTRAINT messages_default_pkey PRIMARY KEY (message_id);

--
-- Name: messages_kept messages_kept_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.messages_kept
    ADD CONSTRAINT messages_kept_pkey PRIMARY KEY (message_id);

--
-- Name: pauses pauses_are_unique; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.pauses
    ADD CONSTRAINT pauses_are_unique UNIQUE (scope, key);

--
-- Name: pauses pauses_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.pauses
    ADD CONSTRAINT pauses_pkey PRIMARY KEY (pause_id);

--
-- Name: rate_limits rate_limits_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.rate_limits
    ADD CONSTRAINT rate_limits_pkey PRIMARY KEY (limit_type, limit_key);

--
-- Name: scheduled scheduled_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.scheduled
    ADD CONSTRAINT scheduled_pkey PRIMARY KEY (message_id);

--
-- Name: sms_prices sms_prices_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.sms_prices
    ADD CONSTRAINT sms_prices_pkey PRIMARY KEY (gateway, prefix);

--
-- Name: suppression_list suppression_list_is_unique; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.suppression_list
    ADD CONSTRAINT suppression_list_is_unique UNIQUE NULLS NOT DISTINCT (address, channel, tenant_id);

--
-- Name: worker_sessions worker_sessions_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.worker_sessions
    ADD CONSTRAINT worker_sessions_pkey PRIMARY KEY (worker_id);

--
-- Name: delivery_events_failed; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX delivery_events_failed ON ONLY postroad.delivery_events USING btree (occurred_at) WHERE (event_type = ANY (ARRAY['failed'::text, 'bounced'::text]));

--
-- Name: delivery_events_lease; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX delivery_events_lease ON ONLY postroad.delivery_events USING btree (message_id, lease_id, event_type);

--
-- Name: delivery_events_source; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX delivery_events_source ON ONLY postroad.delivery_events USING btree (message_id, event_type, source_key) WHERE (source_key IS NOT NULL);

--
-- Name: health_log_changed_at; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX health_log_changed_at ON postroad.health_log USING brin (changed_at);

--
-- Name: idempotency_keys_created_at; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX idempotency_keys_created_at ON postroad.idempotency_keys USING brin (created_at);

--
-- Name: INDEX idempotency_keys_created_at; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.idempotency_keys_created_at IS 'purge_idempotency_keys';

--
-- Name: intents_lease; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX intents_lease ON postroad.intents USING btree (lease_id);

--
-- Name: INDEX intents_lease; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.intents_lease IS 'rescue, complete';

--
-- Name: late_events_message_id_event_type_source_key_idx; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX late_events_message_id_event_type_source_key_idx ON postroad.late_events USING btree (message_id, event_type, source_key) WHERE (source_key IS NOT NULL);

--
-- Name: late_events_message_id_lease_id_event_type_idx; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX late_events_message_id_lease_id_event_type_idx ON postroad.late_events USING btree (message_id, lease_id, event_type);

--
-- Name: late_events_occurred_at_idx; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX late_events_occurred_at_idx ON postroad.late_events USING btree (occurred_at) WHERE (event_type = ANY (ARRAY['failed'::text, 'bounced'::text]));

--
-- Name: message_queue_p0_message_id; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX message_queue_p0_message_id ON postroad.message_queue_p0 USING btree (message_id);

--
-- Name: INDEX message_queue_p0_message_id; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.message_queue_p0_message_id IS 'cancel, status; and a message is queued once';

--
-- Name: message_queue_p0_seq; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX message_queue_p0_seq ON postroad.message_queue_p0 USING btree (seq);

--
-- Name: INDEX message_queue_p0_seq; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.message_queue_p0_seq IS 'claim: the oldest from the floor on';

--
-- Name: message_queue_p1_message_id; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX message_queue_p1_message_id ON postroad.message_queue_p1 USING btree (message_id);

--
-- Name: INDEX message_queue_p1_message_id; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.message_queue_p1_message_id IS 'cancel, status; and a message is queued once';

--
-- Name: message_queue_p1_seq; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX message_queue_p1_seq ON postroad.message_queue_p1 USING btree (seq);

--
-- Name: INDEX message_queue_p1_seq; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.message_queue_p1_seq IS 'claim: the oldest from the floor on';

--
-- Name: message_queue_p2_message_id; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX message_queue_p2_message_id ON postroad.message_queue_p2 USING btree (message_id);

--
-- Name: INDEX message_queue_p2_message_id; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.message_queue_p2_message_id IS 'cancel, status; and a message is queued once';

--
-- Name: message_queue_p2_seq; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX message_queue_p2_seq ON postroad.message_queue_p2 USING btree (seq);

--
-- Name: INDEX message_queue_p2_seq; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.message_queue_p2_seq IS 'claim: the oldest from the floor on';

--
-- Name: message_queue_p3_message_id; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX message_queue_p3_message_id ON postroad.message_queue_p3 USING btree (message_id);

--
-- Name: INDEX message_queue_p3_message_id; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.message_queue_p3_message_id IS 'cancel, status; and a message is queued once';

--
-- Name: message_queue_p3_seq; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX message_queue_p3_seq ON postroad.message_queue_p3 USING btree (seq);

--
-- Name: INDEX message_queue_p3_seq; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.message_queue_p3_seq IS 'claim: the oldest from the floor on';

--
-- Name: message_queue_p4_message_id; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX message_queue_p4_message_id ON postroad.message_queue_p4 USING btree (message_id);

--
-- Name: INDEX message_queue_p4_message_id; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.message_queue_p4_message_id IS 'cancel, status; and a message is queued once';

--
-- Name: message_queue_p4_seq; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX message_queue_p4_seq ON postroad.message_queue_p4 USING btree (seq);

--
-- Name: INDEX message_queue_p4_seq; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.message_queue_p4_seq IS 'claim: the oldest from the floor on';

--
-- Name: scheduled_due; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX scheduled_due ON postroad.scheduled USING btree (priority, due_at);

--
-- Name: INDEX scheduled_due; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.scheduled_due IS 'promote_due';

--
-- Name: scheduled_pause; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX scheduled_pause ON postroad.scheduled USING btree (pause_id) WHERE (pause_id IS NOT NULL);

--
-- Name: INDEX scheduled_pause; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.scheduled_pause IS 'resume';

--
-- Name: contents_default_pkey; Type: INDEX ATTACH; Schema: postroad; Owner: -
--

ALTER INDEX postroad.contents_pkey ATTACH PARTITION postroad.contents_default_pkey;

--
-- Name: late_events_message_id_event_type_source_key_idx; Type: INDEX ATTACH; Schema: postroad; Owner: -
--

ALTER INDEX postroad.delivery_events_source ATTACH PARTITION postroad.late_events_message_id_event_type_source_key_idx;

--
-- Name: late_events_message_id_lease_id_event_type_idx; Type: INDEX ATTACH; Schema: postroad; Owner: -
--

ALTER INDEX postroad.delivery_events_lease ATTACH PARTITION postroad.late_events_message_id_lease_id_event_type_idx;

--
-- Name: late_events_occurred_at_idx; Type: INDEX ATTACH; Schema: postroad; Owner: -
--

ALTER INDEX postroad.delivery_events_failed ATTACH PARTITION postroad.late_events_occurred_at_idx;

--
-- Name: messages_default_pkey; Type: INDEX ATTACH; Schema: postroad; Owner: -
--

ALTER INDEX postroad.messages_pkey ATTACH PARTITION postroad.messages_default_pkey;

--
-- Name: SCHEMA postroad; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA postroad TO postroad_sender;
GRANT USAGE ON SCHEMA postroad TO postroad_worker;
GRANT USAGE ON SCHEMA postroad TO postroad_webhook;
GRANT USAGE ON SCHEMA postroad TO postroad_admin;
GRANT USAGE ON SCHEMA postroad TO postroad_reader;
GRANT USAGE ON SCHEMA postroad TO postroad_functions;

--
-- Name: FUNCTION add_gateway_calls(gateways text[], channels text[], sent bigint[], failed bigint[], latencies jsonb, reasons text[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.add_gateway_calls(gateways text[], channels text[], sent bigint[], failed bigint[], latencies jsonb, reasons text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.add_gateway_calls(gateways text[], channels text[], sent bigint[], failed bigint[], latencies jsonb, reasons text[]) TO postroad_worker;

--
-- Name: FUNCTION advance_floors(candidates bigint[], enqueuers text[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.advance_floors(candidates bigint[], enqueuers text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.advance_floors(candidates bigint[], enqueuers text[]) TO postroad_worker;

--
-- Name: FUNCTION alarms(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.alarms() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.alarms() TO postroad_worker;

--
-- Name: FUNCTION begin_bulk(channel text, subject text, body text, html text, template text, data jsonb, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, tenant_id bigint, options jsonb, rest jsonb, OUT batch_id uuid, OUT priority_number smallint, OUT verdict text, OUT reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.begin_bulk(channel text, subject text, body text, html text, template text, data jsonb, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, tenant_id bigint, options jsonb, rest jsonb, OUT batch_id uuid, OUT priority_number smallint, OUT verdict text, OUT reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.begin_bulk(channel text, subject text, body text, html text, template text, data jsonb, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, tenant_id bigint, options jsonb, rest jsonb, OUT batch_id uuid, OUT priority_number smallint, OUT verdict text, OUT reason text) TO postroad_sender;

--
-- Name: FUNCTION cancel(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.cancel(message_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.cancel(message_id uuid) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.cancel(message_id uuid) TO postroad_admin;

--
-- Name: FUNCTION check_call(channel text, message_type text, priority text, subject text, body text, html text, template text, data jsonb, scheduled_for timestamp with time zone, expires_at timestamp with time zone, tenant_id bigint, idempotency_key text, options jsonb, OUT priority_number smallint, OUT reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.check_call(channel text, message_type text, priority text, subject text, body text, html text, template text, data jsonb, scheduled_for timestamp with time zone, expires_at timestamp with time zone, tenant_id bigint, idempotency_key text, options jsonb, OUT priority_number smallint, OUT reason text) FROM PUBLIC;

--
-- Name: FUNCTION check_options(options jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.check_options(options jsonb) FROM PUBLIC;

--
-- Name: FUNCTION check_push(push jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.check_push(push jsonb) FROM PUBLIC;

--
-- Name: FUNCTION claim(priority smallint, lease_id uuid, worker_id bigint, max_count integer, max_kb integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.claim(priority smallint, lease_id uuid, worker_id bigint, max_count integer, max_kb integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.claim(priority smallint, lease_id uuid, worker_id bigint, max_count integer, max_kb integer) TO postroad_worker;

--
-- Name: FUNCTION complete(lease_ids uuid[], message_ids uuid[], event_types text[], attempts smallint[], gateways text[], external_ids text[], reasons text[], details jsonb[], retry_seconds double precision[], counted boolean[], pause_ids bigint[], finished uuid[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.complete(lease_ids uuid[], message_ids uuid[], event_types text[], attempts smallint[], gateways text[], external_ids text[], reasons text[], details jsonb[], retry_seconds double precision[], counted boolean[], pause_ids bigint[], finished uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.complete(lease_ids uuid[], message_ids uuid[], event_types text[], attempts smallint[], gateways text[], external_ids text[], reasons text[], details jsonb[], retry_seconds double precision[], counted boolean[], pause_ids bigint[], finished uuid[]) TO postroad_worker;

--
-- Name: FUNCTION create_partitions(days_ahead integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.create_partitions(days_ahead integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.create_partitions(days_ahead integer) TO postroad_worker;

--
-- Name: FUNCTION created_at(id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.created_at(id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.created_at(id uuid) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.created_at(id uuid) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.created_at(id uuid) TO postroad_sender;

--
-- Name: FUNCTION dead_workers(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.dead_workers() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.dead_workers() TO postroad_worker;

--
-- Name: FUNCTION drop_partitions(retention interval); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.drop_partitions(retention interval) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.drop_partitions(retention interval) TO postroad_worker;

--
-- Name: FUNCTION enqueue(channel text, recipient text, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, recipient_type text, recipient_id bigint, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT message_id uuid, OUT status text, OUT reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.enqueue(channel text, recipient text, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, recipient_type text, recipient_id bigint, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT message_id uuid, OUT status text, OUT reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.enqueue(channel text, recipient text, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, recipient_type text, recipient_id bigint, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT message_id uuid, OUT status text, OUT reason text) TO postroad_sender;

--
-- Name: FUNCTION enqueue_bulk(channel text, recipients jsonb, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.enqueue_bulk(channel text, recipients jsonb, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.enqueue_bulk(channel text, recipients jsonb, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text) TO postroad_sender;

--
-- Name: FUNCTION enqueue_bulk_from(channel text, recipients regclass, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.enqueue_bulk_from(channel text, recipients regclass, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.enqueue_bulk_from(channel text, recipients regclass, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text) TO postroad_sender;

--
-- Name: FUNCTION enqueue_rows(batch_id uuid, channel text, addresses text[], ids bigint[], types text[], locales text[], data jsonb[], message_type text, priority smallint, scheduled_for timestamp with time zone, expires_at timestamp with time zone, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, locale text, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.enqueue_rows(batch_id uuid, channel text, addresses text[], ids bigint[], types text[], locales text[], data jsonb[], message_type text, priority smallint, scheduled_for timestamp with time zone, expires_at timestamp with time zone, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, locale text, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.enqueue_rows(batch_id uuid, channel text, addresses text[], ids bigint[], types text[], locales text[], data jsonb[], message_type text, priority smallint, scheduled_for timestamp with time zone, expires_at timestamp with time zone, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, locale text, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer) TO postroad_sender;

--
-- Name: FUNCTION enqueuers(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.enqueuers() FROM PUBLIC;

--
-- Name: FUNCTION explain(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.explain(message_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.explain(message_id uuid) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.explain(message_id uuid) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.explain(message_id uuid) TO postroad_reader;

--
-- Name: FUNCTION fetch_contents(content_ids uuid[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.fetch_contents(content_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.fetch_contents(content_ids uuid[]) TO postroad_worker;

--
-- Name: FUNCTION gate_is_open(priority smallint, p1_gate bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.gate_is_open(priority smallint, p1_gate bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.gate_is_open(priority smallint, p1_gate bigint) TO postroad_worker;

--
-- Name: FUNCTION gateway_named(name text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.gateway_named(name text) FROM PUBLIC;

--
-- Name: FUNCTION hand_back(lease_ids uuid[], message_ids uuid[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.hand_back(lease_ids uuid[], message_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.hand_back(lease_ids uuid[], message_ids uuid[]) TO postroad_worker;

--
-- Name: FUNCTION heartbeat(worker_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.heartbeat(worker_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.heartbeat(worker_id bigint) TO postroad_worker;

--
-- Name: FUNCTION held_worker_ids(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.held_worker_ids() FROM PUBLIC;

--
-- Name: FUNCTION intend(lease_ids uuid[], message_ids uuid[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.intend(lease_ids uuid[], message_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.intend(lease_ids uuid[], message_ids uuid[]) TO postroad_worker;

--
-- Name: FUNCTION is_bigint(number text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.is_bigint(number text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.is_bigint(number text) TO postroad_sender;

--
-- Name: FUNCTION is_push_subscription(subscription text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.is_push_subscription(subscription text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.is_push_subscription(subscription text) TO postroad_sender;

--
-- Name: FUNCTION is_suppressed(channel text, address text, tenant_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.is_suppressed(channel text, address text, tenant_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.is_suppressed(channel text, address text, tenant_id bigint) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.is_suppressed(channel text, address text, tenant_id bigint) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.is_suppressed(channel text, address text, tenant_id bigint) TO postroad_reader;

--
-- Name: FUNCTION next_seq(priority smallint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.next_seq(priority smallint) FROM PUBLIC;

--
-- Name: FUNCTION normalize_email(address text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.normalize_email(address text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.normalize_email(address text) TO postroad_sender;

--
-- Name: FUNCTION normalize_phone(number text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.normalize_phone(number text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.normalize_phone(number text) TO postroad_sender;

--
-- Name: FUNCTION normalize_recipient(channel text, recipient text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.normalize_recipient(channel text, recipient text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.normalize_recipient(channel text, recipient text) TO postroad_sender;

--
-- Name: FUNCTION note_enqueuers(OUT candidates bigint[], OUT enqueuers text[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.note_enqueuers(OUT candidates bigint[], OUT enqueuers text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.note_enqueuers(OUT candidates bigint[], OUT enqueuers text[]) TO postroad_worker;

--
-- Name: FUNCTION on_unknown(message_type text, options jsonb, content_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.on_unknown(message_type text, options jsonb, content_id uuid) FROM PUBLIC;

--
-- Name: FUNCTION overdue_after(priority smallint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.overdue_after(priority smallint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.overdue_after(priority smallint) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.overdue_after(priority smallint) TO postroad_admin;

--
-- Name: FUNCTION pause(scope text, key text, reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.pause(scope text, key text, reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.pause(scope text, key text, reason text) TO postroad_admin;

--
-- Name: TABLE messages; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.messages TO postroad_functions;

--
-- Name: TABLE messages_kept; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.messages_kept TO postroad_functions;

--
-- Name: FUNCTION pause_of(m postroad.messages, k postroad.messages_kept); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.pause_of(m postroad.messages, k postroad.messages_kept) FROM PUBLIC;

--
-- Name: FUNCTION place_of(message_id uuid, OUT place text, OUT due_at timestamp with time zone, OUT pause_id bigint, OUT seq bigint, OUT attempt smallint, OUT lease_id uuid, OUT worker_id bigint, OUT leased_at timestamp with time zone); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.place_of(message_id uuid, OUT place text, OUT due_at timestamp with time zone, OUT pause_id bigint, OUT seq bigint, OUT attempt smallint, OUT lease_id uuid, OUT worker_id bigint, OUT leased_at timestamp with time zone) FROM PUBLIC;

--
-- Name: FUNCTION promote_due(priority smallint, after timestamp with time zone, max_count integer, OUT promoted integer, OUT reached timestamp with time zone); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.promote_due(priority smallint, after timestamp with time zone, max_count integer, OUT promoted integer, OUT reached timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.promote_due(priority smallint, after timestamp with time zone, max_count integer, OUT promoted integer, OUT reached timestamp with time zone) TO postroad_worker;

--
-- Name: FUNCTION purge_idempotency_keys(max_count integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.purge_idempotency_keys(max_count integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.purge_idempotency_keys(max_count integer) TO postroad_worker;

--
-- Name: FUNCTION queue_depth(priority smallint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.queue_depth(priority smallint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.queue_depth(priority smallint) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.queue_depth(priority smallint) TO postroad_admin;

--
-- Name: FUNCTION record_events(gateway text, events jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.record_events(gateway text, events jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.record_events(gateway text, events jsonb) TO postroad_webhook;

--
-- Name: FUNCTION record_of(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.record_of(message_id uuid) FROM PUBLIC;

--
-- Name: FUNCTION refresh_channel_health(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.refresh_channel_health() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.refresh_channel_health() TO postroad_worker;

--
-- Name: FUNCTION register_gateways(gateways text[], channels text[], positions smallint[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.register_gateways(gateways text[], channels text[], positions smallint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.register_gateways(gateways text[], channels text[], positions smallint[]) TO postroad_worker;

--
-- Name: FUNCTION register_routing(rules jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.register_routing(rules jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.register_routing(rules jsonb) TO postroad_worker;

--
-- Name: FUNCTION register_worker(worker_id bigint, host text, pid integer, version text, priorities smallint[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.register_worker(worker_id bigint, host text, pid integer, version text, priorities smallint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.register_worker(worker_id bigint, host text, pid integer, version text, priorities smallint[]) TO postroad_worker;

--
-- Name: FUNCTION release(lease_id uuid, delay interval); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.release(lease_id uuid, delay interval) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.release(lease_id uuid, delay interval) TO postroad_worker;

--
-- Name: FUNCTION report_breaker(gateway text, is_open boolean, cause text, open_ms bigint, worker_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.report_breaker(gateway text, is_open boolean, cause text, open_ms bigint, worker_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.report_breaker(gateway text, is_open boolean, cause text, open_ms bigint, worker_id bigint) TO postroad_worker;

--
-- Name: FUNCTION requeue(message_id uuid, priority smallint, attempt smallint, rescues smallint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.requeue(message_id uuid, priority smallint, attempt smallint, rescues smallint) FROM PUBLIC;

--
-- Name: FUNCTION rescue(worker_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.rescue(worker_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.rescue(worker_id bigint) TO postroad_worker;

--
-- Name: FUNCTION rescue_lease(lease_id uuid, apart interval); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.rescue_lease(lease_id uuid, apart interval) FROM PUBLIC;

--
-- Name: FUNCTION reset_floors(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.reset_floors() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.reset_floors() TO postroad_worker;

--
-- Name: FUNCTION resume(scope text, key text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.resume(scope text, key text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.resume(scope text, key text) TO postroad_admin;

--
-- Name: FUNCTION retry(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.retry(message_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.retry(message_id uuid) TO postroad_admin;

--
-- Name: FUNCTION retry_failed(since timestamp with time zone, channel text, gateway text, reason text, max_count integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.retry_failed(since timestamp with time zone, channel text, gateway text, reason text, max_count integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.retry_failed(since timestamp with time zone, channel text, gateway text, reason text, max_count integer) TO postroad_admin;

--
-- Name: FUNCTION route_of(m postroad.messages, OUT verdict text, OUT reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.route_of(m postroad.messages, OUT verdict text, OUT reason text) FROM PUBLIC;

--
-- Name: FUNCTION routing_state(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.routing_state() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.routing_state() TO postroad_worker;

--
-- Name: FUNCTION set_gateway_weight(gateway text, weight integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.set_gateway_weight(gateway text, weight integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.set_gateway_weight(gateway text, weight integer) TO postroad_admin;

--
-- Name: FUNCTION set_rate_limit(limit_type text, limit_key text, per_second integer, per_minute integer, per_hour integer, per_day integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.set_rate_limit(limit_type text, limit_key text, per_second integer, per_minute integer, per_hour integer, per_day integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.set_rate_limit(limit_type text, limit_key text, per_second integer, per_minute integer, per_hour integer, per_day integer) TO postroad_admin;

--
-- Name: FUNCTION settle(message_id uuid, outcome text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.settle(message_id uuid, outcome text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.settle(message_id uuid, outcome text) TO postroad_admin;

--
-- Name: FUNCTION size_kb(bytes bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.size_kb(bytes bigint) FROM PUBLIC;

--
-- Name: FUNCTION status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) TO postroad_reader;

--
-- Name: FUNCTION suppress(channel text, address text, reason text, tenant_id bigint, expires_at timestamp with time zone, source text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.suppress(channel text, address text, reason text, tenant_id bigint, expires_at timestamp with time zone, source text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.suppress(channel text, address text, reason text, tenant_id bigint, expires_at timestamp with time zone, source text) TO postroad_admin;

--
-- Name: FUNCTION suppressed_by(channel text, recipient text, tenant_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.suppressed_by(channel text, recipient text, tenant_id bigint) FROM PUBLIC;

--
-- Name: FUNCTION suppression_address(channel text, address text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.suppression_address(channel text, address text) FROM PUBLIC;

--
-- Name: FUNCTION suppression_key(channel text, recipient text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.suppression_key(channel text, recipient text) FROM PUBLIC;

--
-- Name: FUNCTION take_probe(gateway text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.take_probe(gateway text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.take_probe(gateway text) TO postroad_worker;

--
-- Name: FUNCTION timeline(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.timeline(message_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.timeline(message_id uuid) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.timeline(message_id uuid) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.timeline(message_id uuid) TO postroad_reader;

--
-- Name: FUNCTION unregister_worker(worker_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.unregister_worker(worker_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.unregister_worker(worker_id bigint) TO postroad_worker;

--
-- Name: TABLE leases; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.leases TO postroad_functions;

--
-- Name: FUNCTION unsent_of(lease postroad.leases); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.unsent_of(lease postroad.leases) FROM PUBLIC;

--
-- Name: FUNCTION unsuppress(channel text, address text, tenant_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.unsuppress(channel text, address text, tenant_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.unsuppress(channel text, address text, tenant_id bigint) TO postroad_admin;

--
-- Name: FUNCTION use_idempotency_key(tenant_id bigint, key text, new_id uuid, call jsonb, OUT message_id uuid, OUT verdict text, OUT reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.use_idempotency_key(tenant_id bigint, key text, new_id uuid, call jsonb, OUT message_id uuid, OUT verdict text, OUT reason text) FROM PUBLIC;

--
-- Name: FUNCTION uuid_add(base uuid, steps bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.uuid_add(base uuid, steps bigint) FROM PUBLIC;

--
-- Name: FUNCTION uuid_at(at timestamp with time zone); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.uuid_at(at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.uuid_at(at timestamp with time zone) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.uuid_at(at timestamp with time zone) TO postroad_admin;

--
-- Name: FUNCTION uuid_v7(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.uuid_v7() FROM PUBLIC;

--
-- Name: FUNCTION wake(priority smallint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.wake(priority smallint) FROM PUBLIC;

--
-- Name: TABLE channel_health; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.channel_health TO postroad_functions;

--
-- Name: SEQUENCE event_id_seq; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.event_id_seq TO postroad_functions;

--
-- Name: TABLE delivery_events; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.delivery_events TO postroad_functions;

--
-- Name: TABLE channel_stats; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.channel_stats TO postroad_reader;
GRANT SELECT ON TABLE postroad.channel_stats TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.channel_stats TO postroad_functions;

--
-- Name: TABLE contents; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.contents TO postroad_functions;

--
-- Name: TABLE contents_default; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.contents_default TO postroad_functions;

--
-- Name: TABLE contents_kept; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.contents_kept TO postroad_functions;

--
-- Name: TABLE delivery_rates; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.delivery_rates TO postroad_reader;
GRANT SELECT ON TABLE postroad.delivery_rates TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.delivery_rates TO postroad_functions;

--
-- Name: TABLE failed_messages; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.failed_messages TO postroad_reader;
GRANT SELECT ON TABLE postroad.failed_messages TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.failed_messages TO postroad_functions;

--
-- Name: TABLE gateway_minutes; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.gateway_minutes TO postroad_functions;

--
-- Name: TABLE gateway_routes; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.gateway_routes TO postroad_functions;

--
-- Name: TABLE gateway_states; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.gateway_states TO postroad_functions;

--
-- Name: TABLE pauses; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.pauses TO postroad_functions;

--
-- Name: TABLE gateway_stats; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.gateway_stats TO postroad_reader;
GRANT SELECT ON TABLE postroad.gateway_stats TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.gateway_stats TO postroad_functions;

--
-- Name: TABLE health_log; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.health_log TO postroad_functions;

--
-- Name: TABLE idempotency_keys; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.idempotency_keys TO postroad_functions;

--
-- Name: TABLE worker_sessions; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.worker_sessions TO postroad_functions;

--
-- Name: TABLE in_flight; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.in_flight TO postroad_reader;
GRANT SELECT ON TABLE postroad.in_flight TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.in_flight TO postroad_functions;

--
-- Name: TABLE intents; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.intents TO postroad_functions;

--
-- Name: TABLE ip_pools; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.ip_pools TO postroad_functions;

--
-- Name: TABLE late_events; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.late_events TO postroad_functions;

--
-- Name: TABLE message_queue; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_queue TO postroad_functions;

--
-- Name: TABLE message_queue_p0; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_queue_p0 TO postroad_functions;

--
-- Name: TABLE message_queue_p1; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_queue_p1 TO postroad_functions;

--
-- Name: TABLE message_queue_p2; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_queue_p2 TO postroad_functions;

--
-- Name: TABLE message_queue_p3; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_queue_p3 TO postroad_functions;

--
-- Name: TABLE message_queue_p4; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_queue_p4 TO postroad_functions;

--
-- Name: TABLE message_templates; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_templates TO postroad_functions;

--
-- Name: TABLE messages_default; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.messages_default TO postroad_functions;

--
-- Name: SEQUENCE pauses_pause_id_seq; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.pauses_pause_id_seq TO postroad_functions;

--
-- Name: SEQUENCE queue_floor_p0; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_floor_p0 TO postroad_functions;

--
-- Name: SEQUENCE queue_floor_p1; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_floor_p1 TO postroad_functions;

--
-- Name: SEQUENCE queue_floor_p2; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_floor_p2 TO postroad_functions;

--
-- Name: SEQUENCE queue_floor_p3; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_floor_p3 TO postroad_functions;

--
-- Name: SEQUENCE queue_floor_p4; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_floor_p4 TO postroad_functions;

--
-- Name: SEQUENCE queue_seq_p0; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_seq_p0 TO postroad_functions;

--
-- Name: SEQUENCE queue_seq_p1; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_seq_p1 TO postroad_functions;

--
-- Name: SEQUENCE queue_seq_p2; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_seq_p2 TO postroad_functions;

--
-- Name: SEQUENCE queue_seq_p3; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_seq_p3 TO postroad_functions;

--
-- Name: SEQUENCE queue_seq_p4; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_seq_p4 TO postroad_functions;

--
-- Name: TABLE scheduled; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.scheduled TO postroad_functions;

--
-- Name: TABLE queue_stats; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.queue_stats TO postroad_reader;
GRANT SELECT ON TABLE postroad.queue_stats TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.queue_stats TO postroad_functions;

--
-- Name: TABLE rate_limits; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.rate_limits TO postroad_functions;

--
-- Name: TABLE sms_prices; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.sms_prices TO postroad_functions;

--
-- Name: TABLE suppression_list; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.suppression_list TO postroad_functions;

--
-- Name: TABLE workers; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.workers TO postroad_reader;
GRANT SELECT ON TABLE postroad.workers TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.workers TO postroad_functions;

--
-- PostgreSQL database dump complete
--

