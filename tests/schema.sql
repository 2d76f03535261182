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
-- Name: ack_events(text, bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.ack_events(consumer text, batch_id bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  reader postroad.consumers;
begin
  select c.* into reader
  from postroad.consumers as c
  where c.consumer = ack_events.consumer
    and c.consumer !~ '^_'
  for update;
  if reader.consumer is null then
    raise exception 'no consumer %', coalesce(quote_literal(ack_events.consumer), 'null')
      using errcode = 'PR002', hint = 'Register it first: select postroad.register_consumer(''billing'').';
  end if;
  perform postroad.check_consumer_owner(reader.consumer, reader.registered_by);
  if (ack_events.batch_id between 1 and reader.batch_id) is not true then
    raise exception 'consumer % has read no batch %', quote_literal(consumer), coalesce(ack_events.batch_id::text, 'null')
      using errcode = 'PR001', hint = 'batch_id is a column of read_events.';
  end if;
  if reader.batch_xid is null or ack_events.batch_id < reader.batch_id then
    return false;
  end if;
  perform postroad.close_batch(reader);
  return true;
end;
$$;

--
-- Name: FUNCTION ack_events(consumer text, batch_id bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.ack_events(consumer text, batch_id bigint) IS 'Says that a batch was dealt with: the next read_events goes on behind it. In the transaction that deals with it, each event is dealt with exactly once. False when it was
acknowledged before. Raises PR001 (no such batch), PR002 (not registered) and 42501 (insufficient_privilege: registered by another).';

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
-- Name: add_webhook_endpoint(text, text[], text[], bigint, boolean, text, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.add_webhook_endpoint(url text, event_types text[] DEFAULT '{message.*}'::text[], channels text[] DEFAULT NULL::text[], tenant_id bigint DEFAULT NULL::bigint, include_addresses boolean DEFAULT false, description text DEFAULT NULL::text, secret text DEFAULT NULL::text, OUT endpoint_id bigint, OUT signing_secret text) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  perform postroad.check_endpoint(url, event_types, channels);
  if include_addresses is null then
    raise exception 'include_addresses must be true or false'
      using errcode = 'PR001';
  end if;
  signing_secret := postroad.checked_secret(secret);
  -- What is committed from here on is posted; the endpoints that were there before keep their place.
  insert into postroad.consumers (consumer, event_types, seen)
  values ('_webhooks', '{*,system.*}', postroad.event_snapshot())
  on conflict on constraint consumers_pkey do nothing;
  insert into postroad.webhook_endpoints as e (url, event_types, channels, tenant_id, include_addresses, description)
  values (url, event_types, channels, tenant_id, include_addresses, description)
  returning e.endpoint_id into endpoint_id;
  insert into postroad.webhook_secrets (endpoint_id, secret)
  values (endpoint_id, signing_secret);
  perform postroad.audit('add_webhook_endpoint', endpoint_id::text, null, jsonb_build_object(
    'url', split_part(url, '?', 1), 'event_types', event_types, 'channels', channels, 'tenant_id', tenant_id, 'include_addresses', include_addresses));
end;
$$;

--
-- Name: FUNCTION add_webhook_endpoint(url text, event_types text[], channels text[], tenant_id bigint, include_addresses boolean, description text, secret text, OUT endpoint_id bigint, OUT signing_secret text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.add_webhook_endpoint(url text, event_types text[], channels text[], tenant_id bigint, include_addresses boolean, description text, secret text, OUT endpoint_id bigint, OUT signing_secret text) IS 'Has events posted to a URL (https, or http), signed by Standard Webhooks 1.0.0, from now on.

event_types: message.* (the default), message.<type> such as message.delivered, system.*, system.<kind>. channels: of messages of these channels only. tenant_id: of this tenant
only (system events too, if they name it). include_addresses: the recipient goes along. secret: whsec_ and 24 to 64 bytes in base64 (made if null), or whsk_ and an Ed25519 key.
Returns the secret, which is shown here only. The body is {"type": "message.delivered", "timestamp": "…", "data": {"message_id": "…", …}}.
Raises PR001 (URL, secret) and PR002 (unknown event type or channel).';

--
-- Name: address_hash(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.address_hash(address text) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select 'address ' || left(encode(sha256(k.key || sha256(k.key || convert_to(address_hash.address, 'UTF8'))), 'hex'), 32)
  from postroad.address_key as k
$$;

--
-- Name: FUNCTION address_hash(address text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.address_hash(address text) IS 'What stands in the audit for an address as the suppression list keeps it: the same for the same address, and of no use to whoever guesses addresses without the key of this
installation.';

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
    xid bigint DEFAULT txid_current() NOT NULL,
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
    is_tallied boolean DEFAULT false NOT NULL,
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
-- Name: COLUMN delivery_events.is_tallied; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.delivery_events.is_tallied IS 'Whether it is counted in event_tallies: count_events leaves it out.';

--
-- Name: addressee_of(postroad.delivery_events, text, text, jsonb, uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.addressee_of(event postroad.delivery_events, channel text, recipient text, options jsonb, content_id uuid) RETURNS text
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $_$
declare
  named constant text := regexp_replace(event.detail ->> 'recipient', '^.*<([^<>]*)>\s*$', '\1');
  told constant text := postroad.suppression_key(channel, postroad.normalize_recipient(channel, named));
  own constant text := postroad.suppression_key(channel, recipient);
  copies text[];
begin
  if told is null or told = own or own is null then
    return coalesce(told, own);
  elsif event.event_type = 'received' then
    return told;                                 -- whoever wrote to us
  elsif channel <> 'email' then
    return own;
  end if;
  copies := array(
    select postroad.suppression_key('email', postroad.normalize_email(regexp_replace(a.address, '^.*<([^<>]*)>\s*$', '\1')))
    from (
      select addressee_of.options
      union all
      select c.options from postroad.contents as c where c.content_id = addressee_of.content_id
      union all
      select k.options from postroad.contents_kept as k where k.content_id = addressee_of.content_id
    ) as o (options),
      jsonb_array_elements_text(coalesce(o.options -> 'cc', '[]') || coalesce(o.options -> 'bcc', '[]')) as a (address)
  );
  return case
    when told = any (copies) then told
    when cardinality(copies) = 0 then own
  end;
end;
$_$;

--
-- Name: FUNCTION addressee_of(event postroad.delivery_events, channel text, recipient text, options jsonb, content_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.addressee_of(event postroad.delivery_events, channel text, recipient text, options jsonb, content_id uuid) IS 'Whom an event of a message is about, as the suppression list writes it. Another address than those that the message went to is not believed: a mail server can write any
address into its bounce. It stands for the recipient if the message had no other (a forwarder does so); of several, none can be told: null.';

--
-- Name: advance_floors(bigint[], text[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.advance_floors(candidates bigint[], enqueuers text[]) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $_$
declare
  queue_floor bigint;
  lowest bigint;
begin
  perform postroad.need_read_committed();        -- rows that an older snapshot does not see are below no floor
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
    LANGUAGE plpgsql SECURITY DEFINER
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
  return query
  select k.* from postroad.misheld_keys() as k;
end;
$$;

--
-- Name: FUNCTION alarms(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.alarms() IS 'What an operator must look at, a sentence each: leases older than 10 minutes (an alarm, which never releases them), priorities whose oldest message is overdue, and what
misheld_keys says. The elected maintainer logs them once a minute.';

--
-- Name: answer_wishes(uuid[], bigint[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.answer_wishes(message_ids uuid[], event_ids bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
begin
  perform postroad.enqueue('sms', x.number, body => x.body, tenant_id => x.tenant_id,
    -- A machine at the other end that answers with HELP must not go round in circles with us.
    idempotency_key => format('sms-reply:%s:%s:%s', x.wish, encode(sha256(convert_to(x.number, 'UTF8')), 'hex'), to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24')))
  from (
    select distinct e.detail ->> 'wish' as wish, r.body, m.tenant_id,
      postroad.normalize_phone(coalesce(e.detail ->> 'recipient', m.recipient)) as number
    from postroad.delivery_events as e
    join postroad.sms_replies as r on r.wish = e.detail ->> 'wish'
    left join lateral postroad.record_of(e.message_id) as m on true
    where e.message_id = any (answer_wishes.message_ids)
      and e.event_id = any (answer_wishes.event_ids)
      and coalesce(m.channel, 'sms') = 'sms'
    offset 0
  ) as x
  where x.number is not null;
end;
$$;

--
-- Name: FUNCTION answer_wishes(message_ids uuid[], event_ids bigint[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.answer_wishes(message_ids uuid[], event_ids bigint[]) IS 'Enqueues the reply of sms_replies to each number that asked for HELP or sent START, where there is one: once an hour at most.';

--
-- Name: audit(text, text, jsonb, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.audit(action text, target text, before jsonb DEFAULT NULL::jsonb, after jsonb DEFAULT NULL::jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  insert into postroad.audit_log (tenant_id, who, action, target, before, after)
  values (nullif(current_setting('postroad.tenant', true), '')::bigint,
    coalesce(nullif(current_setting('postroad.caller', true), ''), session_user), action, target, before, after);
end;
$$;

--
-- Name: FUNCTION audit(action text, target text, before jsonb, after jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.audit(action text, target text, before jsonb, after jsonb) IS 'Notes a change by an operator, in its transaction: who is the caller of the HTTP API (the setting postroad.caller, which begin_call makes), or else the database user, who is
noted in any case.';

--
-- Name: audit_counters(date); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.audit_counters(day date) RETURNS TABLE(channel text, gateway text, message_type text, source_type text, tenant_id bigint, event_type text, counted bigint, found bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET work_mem TO '64MB'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  low constant uuid := postroad.uuid_at(audit_counters.day::timestamp at time zone 'UTC');
  high constant uuid := postroad.uuid_at((audit_counters.day + 1)::timestamp at time zone 'UTC');
begin
  if to_regclass('postroad.messages_' || to_char(audit_counters.day, 'YYYYMMDD')) is null then
    return;                                      -- dropped: its counters are all that is left of it
  end if;
  -- One statement, and so one snapshot: the counters and the position that they were counted up to.
  return query
  with position as materialized (
    select c.seen, coalesce(c.upto, c.seen) as upto, coalesce(c.at_xid, 0) as at_xid, coalesce(c.at_key, '00000000-0000-0000-0000-000000000000') as at_key
    from postroad.consumers as c
    where c.consumer = '_counters'
  ), events as (
    select m.channel, null::text collate "C" as gateway, m.message_type, m.source_type, m.tenant_id, 'queued'::text collate "C" as event_type
    from postroad.messages as m, position as p
    where m.message_id >= low and m.message_id < high
      and (txid_visible_in_snapshot(m.xid, p.seen)
        or txid_visible_in_snapshot(m.xid, p.upto) and (m.xid, m.message_id) <= (p.at_xid, p.at_key))
    union all
    select coalesce(m.channel, ''), e.gateway, coalesce(m.message_type, ''), m.source_type, m.tenant_id, e.event_type
    from position as p, postroad.delivery_events as e
    left join postroad.messages as m on m.message_id = e.message_id and m.message_id >= low and m.message_id < high
    where e.message_id >= low and e.message_id < high
      and (txid_visible_in_snapshot(e.xid, p.seen)
        or txid_visible_in_snapshot(e.xid, p.upto) and (e.xid, e.message_id) <= (p.at_xid, p.at_key))
  ), found as (
    select e.channel, e.gateway, e.message_type, e.source_type, e.tenant_id, e.event_type, count(*) as found
    from events as e
    group by 1, 2, 3, 4, 5, 6
  ), counted as (
    select c.channel, c.gateway, c.message_type, c.source_type, c.tenant_id, c.event_type, c.count as counted
    from postroad.message_counters as c
    where c.day = audit_counters.day
  )
  select b.channel, b.gateway, b.message_type, b.source_type, b.tenant_id, b.event_type, sum(b.counted)::bigint, sum(b.found)::bigint
  from (
    select c.channel, c.gateway, c.message_type, c.source_type, c.tenant_id, c.event_type, c.counted, 0 as found from counted as c
    union all
    select f.channel, f.gateway, f.message_type, f.source_type, f.tenant_id, f.event_type, 0, f.found from found as f
  ) as b
  group by 1, 2, 3, 4, 5, 6
  having sum(b.counted) <> sum(b.found);
end;
$$;

--
-- Name: FUNCTION audit_counters(day date); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.audit_counters(day date) IS 'Compares the counters of a day (UTC, of the messages) with the messages and events themselves, as far as they were counted. No row: all is well. Reads the whole day.
A day that was dropped has nothing to compare with: no row.';

--
-- Name: audit_target(text, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.audit_target(channel text, address text) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select postroad.address_hash(postroad.suppression_address(channel, address))
$$;

--
-- Name: FUNCTION audit_target(channel text, address text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.audit_target(channel text, address text) IS 'What stands for an address in audit_trail, which holds none: select * from postroad.audit_trail(''-infinity'') where target = postroad.audit_target(''email'', ''ada@example.org'').
channel as given to suppress (null: all). Raises PR001 (an address that the channel does not know) and PR002 (unknown channel).';

--
-- Name: audit_trail(timestamp with time zone, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.audit_trail(since timestamp with time zone DEFAULT (clock_timestamp() - '1 day'::interval), max_count integer DEFAULT 1000) RETURNS TABLE(changed_at timestamp with time zone, who text, database_user text, tenant_id bigint, action text, target text, before jsonb, after jsonb)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return query
  select a.changed_at, a.who, a.database_user, a.tenant_id, a.action, a.target, a.before, a.after
  from postroad.audit_log as a
  where a.changed_at >= since
  order by a.audit_id desc
  limit max_count;
end;
$$;

--
-- Name: FUNCTION audit_trail(since timestamp with time zone, max_count integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.audit_trail(since timestamp with time zone, max_count integer) IS 'Who changed what since a time (default: the last day), the latest first, at most max_count: pauses, retries, replays, suppressions, weights, limits, keys. It holds no address: see audit_target.';

--
-- Name: batch_of(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.batch_of(message_id uuid) RETURNS uuid
    LANGUAGE sql STABLE
    AS $$
  select coalesce(
    (select m.batch_id from postroad.messages as m where m.message_id = batch_of.message_id),
    (select k.batch_id from postroad.messages_kept as k where k.message_id = batch_of.message_id))
$$;

--
-- Name: FUNCTION batch_of(message_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.batch_of(message_id uuid) IS 'The bulk send that a message is of, or null.';

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
      channel, subject, body, html, data, message_type, priority_number, postroad.utc_json(scheduled_for), postroad.utc_json(expires_at), options, rest)) as k;
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
-- Name: begin_call(jsonb, jsonb, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.begin_call(caller jsonb, parameters jsonb, body jsonb DEFAULT NULL::jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  ignored text;
begin
  -- Assignments, which cost less than a statement.
  ignored := pg_catalog.set_config('postroad.tenant', coalesce(caller ->> 'tenant_id', ''), true);
  ignored := pg_catalog.set_config('postroad.caller', caller ->> 'id', true);
  return pg_catalog.jsonb_build_object('caller', caller, 'parameters', parameters, 'body', body);
end;
$$;

--
-- Name: FUNCTION begin_call(caller jsonb, parameters jsonb, body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.begin_call(caller jsonb, parameters jsonb, body jsonb) IS 'What an endpoint of the HTTP API is called with: postroad.http_…(postroad.begin_call(caller, parameters, body)), a statement each, which is a transaction. Binds
the transaction to the caller''s tenant. caller: {"id", "tenant_id"}, which the server has verified. parameters: those of path and query, as strings.';

--
-- Name: bounded_scheduled(smallint, boolean); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.bounded_scheduled(priority smallint, is_parked boolean) RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
begin
  if is_parked then
    return (select count(*) from (
      select from postroad.scheduled as s where s.priority = bounded_scheduled.priority and s.due_at = 'infinity' limit 10000
    ) as x);
  end if;
  return (select count(*) from (
    select from postroad.scheduled as s where s.priority = bounded_scheduled.priority and s.due_at < 'infinity' limit 10000
  ) as x);
end;
$$;

--
-- Name: FUNCTION bounded_scheduled(priority smallint, is_parked boolean); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.bounded_scheduled(priority smallint, is_parked boolean) IS 'Messages of a priority that wait for their time, or that a pause holds (is_parked); counted up to 10,000, which stands for that many or more.';

--
-- Name: bulk_problem(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.bulk_problem(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
declare
  found_problem constant jsonb := postroad.request_problem('POST', '/messages/bulk', call);
begin
  if found_problem is null and (call -> 'caller' ->> 'tenant_id')::numeric <> (call -> 'body' ->> 'tenant_id')::numeric then
    return postroad.problem(403, 'forbidden', 'The caller is bound to another tenant.', postroad.error_at('#/tenant_id', 'is another tenant'));
  end if;
  return found_problem;
end;
$$;

--
-- Name: FUNCTION bulk_problem(call jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.bulk_problem(call jsonb) IS 'What is wrong with the call of a bulk send, beside its recipients.';

--
-- Name: bulk_status(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.bulk_status(batch_id uuid) RETURNS TABLE(status text, messages bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_nestloop TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET work_mem TO '64MB'
    SET jit TO 'off'
    AS $$
declare
  since constant uuid := postroad.uuid_at(postroad.created_at(batch_id));        -- its messages were made after it
  members uuid[];
  low uuid;
  high uuid;
  in_flight uuid[];
begin
  members := array(
    select m.message_id
    from postroad.messages as m
    where m.xid = any (array(select t.xid from postroad.bulk_transactions as t where t.batch_id = bulk_status.batch_id))        -- an index of some pages each
      and m.message_id >= since
      and m.batch_id = bulk_status.batch_id
    union all
    select k.message_id
    from postroad.messages_kept as k
    where k.batch_id = bulk_status.batch_id
    order by 1
  );
  low := members[1];
  high := members[cardinality(members)];
  in_flight := postroad.in_flight_of(members);
  return query
  with place as (                                -- what waits for its next attempt may still be in the lease of the last one
    select w.id, max(w.place) as place
    from (
      select u.id, 'queued' as place
      from postroad.message_queue as q, unnest(q.message_id || q.more_ids) as u (id)
      where q.message_id between low and high
      union all
      select s.message_id, 'scheduled'
      from postroad.scheduled as s
      where s.message_id between low and high
      union all
      select u.id, 'processing'
      from unnest(in_flight) as u (id)
    ) as w
    group by w.id
  ), told as (
    select e.message_id,
      bit_or(case e.event_type
        when 'sent' then 1 when 'delivered' then 2 when 'opened' then 2 when 'clicked' then 2 when 'failed' then 4 when 'cancelled' then 8
        when 'suppressed' then 16 when 'expired' then 32 when 'unknown' then 64
        when 'bounced' then case when e.lease_id is not null then 256 when e.bounce_type = 'soft' then 0 else 128 end
        else 0
      end) as flags,
      count(*) filter (where e.lease_id is not null and e.event_type <> 'deferred') as endings
    from postroad.delivery_events as e
    where e.message_id between low and high
    group by e.message_id
  ), plain as (                                  -- as postroad.status, which is asked about what is not told by this alone
    select u.id,
      case
        when p.place in ('queued', 'scheduled') then p.place
        when p.place is null and t.endings = 1 then case t.flags
          when 1 then 'sent' when 3 then 'delivered' when 129 then 'bounced' when 131 then 'bounced' when 256 then 'bounced'
          when 4 then 'failed' when 16 then 'suppressed' when 32 then 'expired' end
        when p.place is null and t.endings = 0 then case t.flags
          when 8 then 'cancelled' when 16 then 'suppressed' end
      end as status
    from unnest(members) as u (id)
    left join place as p on p.id = u.id
    left join told as t on t.message_id = u.id
  )
  select x.status, count(*)
  from (
    select coalesce(p.status, (select s.status from postroad.status_of(p.id, in_flight) as s)) as status
    from plain as p
  ) as x
  group by x.status
  order by array_position('{scheduled,queued,processing,sent,delivered,bounced,failed,unknown,suppressed,expired,cancelled}', x.status);
end;
$$;

--
-- Name: FUNCTION bulk_status(batch_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.bulk_status(batch_id uuid) IS 'How far a bulk send is (the batch_id that enqueue_bulk and enqueue_bulk_from return): how many of its messages have each status that postroad.status gives, in the order in which a message passes through
them; statuses that none has are left out. No row: it is not known, or its retention is over, or none of its recipients was enqueued. It reads each of its messages and their events, some microseconds each.';

--
-- Name: cancel(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.cancel(message_id uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  if not postroad.withdraw(message_id) then
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
or is not known. Until the transaction ends, the up to fifteen messages of the same bulk send that share its row of the queue wait too:
who cancels several in one transaction does so in the order of their ids, and repeats it after 40P01 (deadlock) or, in repeatable read, 40001.';

--
-- Name: cancel_bulk(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.cancel_bulk(batch_id uuid) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
declare
  since constant uuid := postroad.uuid_at(postroad.created_at(batch_id));        -- its messages were made after it
  withdrawn integer;
  cancelled integer := 0;
begin
  perform postroad.need_read_committed();
  loop
    -- The messages of a row are of one call, and so of one batch.
    with gone as (
      delete from postroad.message_queue as q
      where q.message_id >= since
        and postroad.batch_of(q.message_id) = cancel_bulk.batch_id
      returning q.message_id, q.more_ids
    )
    insert into postroad.delivery_events (message_id, event_type, reason)
    select unnest(g.message_id || g.more_ids), 'cancelled', 'cancelled'
    from gone as g;
    get diagnostics withdrawn = row_count;
    cancelled := cancelled + withdrawn;
    with gone as (
      delete from postroad.scheduled as s
      where s.message_id >= since
        and postroad.batch_of(s.message_id) = cancel_bulk.batch_id
      returning s.message_id
    )
    insert into postroad.delivery_events (message_id, event_type, reason)
    select g.message_id, 'cancelled', 'cancelled'
    from gone as g;
    get diagnostics withdrawn = row_count;
    cancelled := cancelled + withdrawn;
    -- What a claim left of a row, and what was promoted or given back meanwhile, is another row.
    exit when not exists (
      select from postroad.message_queue as q where q.message_id >= since and postroad.batch_of(q.message_id) = cancel_bulk.batch_id
    ) and not exists (
      select from postroad.scheduled as s where s.message_id >= since and postroad.batch_of(s.message_id) = cancel_bulk.batch_id
    );
  end loop;
  return cancelled;
end;
$$;

--
-- Name: FUNCTION cancel_bulk(batch_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.cancel_bulk(batch_id uuid) IS 'Withdraws all messages of a bulk send (the batch_id that enqueue_bulk and enqueue_bulk_from return) that still wait: in the queue, for their time, for their next attempt or in a pause. Returns how many;
those that are being sent, or have ended, are not among them. It looks through all that waits and was enqueued since, some microseconds each. Until the transaction ends, claims pass over what it
withdrew: let it be a transaction of its own. Raises PR001 in one that is not read committed.';

--
-- Name: check_api_key(bytea); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.check_api_key(hash bytea, OUT key_id bigint, OUT tenant_id bigint, OUT roles text[], OUT requests_per_second integer, OUT refusal text, OUT seconds_left double precision) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  known postroad.api_keys;
begin
  select k.* into known
  from postroad.api_keys as k
  where k.hash = check_api_key.hash;
  if known.key_id is null then
    refusal := 'unknown';
    return;
  end if;
  key_id := known.key_id;
  tenant_id := known.tenant_id;
  roles := known.roles;
  requests_per_second := known.requests_per_second;
  seconds_left := extract(epoch from known.expires_at - clock_timestamp());
  refusal := case when known.revoked_at is not null then 'revoked' when seconds_left <= 0 then 'expired' end;
  if refusal is null and (known.last_used_at < clock_timestamp() - interval '1 minute') is not false then
    update postroad.api_keys as k
    set last_used_at = clock_timestamp()
    where k.key_id = known.key_id
      and k.last_used_at is not distinct from known.last_used_at;   -- of several servers one writes
  end if;
end;
$$;

--
-- Name: FUNCTION check_api_key(hash bytea, OUT key_id bigint, OUT tenant_id bigint, OUT roles text[], OUT requests_per_second integer, OUT refusal text, OUT seconds_left double precision); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.check_api_key(hash bytea, OUT key_id bigint, OUT tenant_id bigint, OUT roles text[], OUT requests_per_second integer, OUT refusal text, OUT seconds_left double precision) IS 'Whose key it is, by the SHA-256 of the key; refusal: unknown, revoked or expired. Notes that it was used, once a minute at most.';

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

--
-- Name: FUNCTION check_call(channel text, message_type text, priority text, subject text, body text, html text, template text, data jsonb, scheduled_for timestamp with time zone, expires_at timestamp with time zone, tenant_id bigint, idempotency_key text, options jsonb, OUT priority_number smallint, OUT reason text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.check_call(channel text, message_type text, priority text, subject text, body text, html text, template text, data jsonb, scheduled_for timestamp with time zone, expires_at timestamp with time zone, tenant_id bigint, idempotency_key text, options jsonb, OUT priority_number smallint, OUT reason text) IS 'What enqueue and enqueue_bulk check alike. Raises PR002 (unknown channel, message type, priority), PR003 (content), PR004 (template) and PR005
(options) for what is a bug of the caller; returns a reason for what is bad data: subject_too_long (998 characters, RFC 5322, section 2.1.1),
subject_has_line_break, subject_has_control_character (of a mail; a tab is none), content_too_large (50 MiB), what options_reason says, idempotency_key_too_long (1 to 255 characters), scheduled_for_out_of_range (10 years either way),
expires_at_out_of_range, already_expired, expires_before_scheduled.';

--
-- Name: check_consumer_owner(text, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.check_consumer_owner(consumer text, owner text) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
declare
  caller constant text := nullif(current_setting('postroad.caller', true), '');
begin
  if owner = postroad.consumer_owner() or owner is null
    or caller is null and (owner = session_user or pg_has_role(session_user, 'postroad_admin', 'member'))
  then
    return;
  end if;
  -- What comes over HTTP comes as the server's user, whatever else that one may do. A key that replaces another has its name.
  if owner ~ '^(key|jwt):' and exists (
    select
    from postroad.api_keys as mine
    where 'key:' || mine.key_id = postroad.consumer_owner()
      and ('admin' = any (mine.roles) or exists (select from postroad.api_keys as other where 'key:' || other.key_id = owner and other.name = mine.name))
  ) then
    return;
  end if;
  raise exception 'consumer % belongs to %', quote_literal(consumer), quote_ident(owner)
    using errcode = 'insufficient_privilege', hint = 'Who registered it may read and end it, and an operator (postroad_admin) in SQL.';
end;
$$;

--
-- Name: FUNCTION check_consumer_owner(consumer text, owner text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.check_consumer_owner(consumer text, owner text) IS 'Raises 42501 (insufficient_privilege) unless a reader of events belongs to who asks: the database user, or the caller of the HTTP API, who registered it. Others that may: an
operator (postroad_admin) in SQL; over HTTP, of what was registered there, a key with the role admin, or of the same name.';

--
-- Name: check_endpoint(text, text[], text[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.check_endpoint(url text, event_types text[], channels text[]) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
declare
  wrong text;
begin
  if postroad.normalize_recipient('webhook', url) is null then
    raise exception 'not a URL to post to'
      using errcode = 'PR001', hint = 'Such as https://app.example.org/hooks/postroad, without user and password, of up to 2,048 characters.';
  end if;
  select t.name into wrong
  from unnest(event_types) as t (name)
  where (t.name ~ '^system\.(\*|[a-z][a-z0-9_]*)$'
    or t.name ~ '^message\.(\*|queued|sent|deferred|delivered|opened|clicked|converted|bounced|complained|unsubscribed|failed|expired|cancelled|suppressed|unknown|received)$') is not true
  limit 1;
  if found or coalesce(cardinality(event_types), 0) = 0 then
    raise exception 'unknown event type %', coalesce(quote_literal(wrong), 'null')
      using errcode = 'PR002', hint = 'message.*, message.delivered (or another type of event), system.*, system.<kind>.';
  end if;
  select c.name into wrong
  from unnest(channels) as c (name)
  where (c.name = any ('{email,sms,push,voice,in_app,webhook}')) is not true
  limit 1;
  if found or cardinality(channels) = 0 then
    raise exception 'unknown channel %', coalesce(quote_literal(wrong), 'null')
      using errcode = 'PR002', hint = 'Channels: email, sms, push, voice, in_app, webhook; null for all.';
  end if;
end;
$_$;

--
-- Name: FUNCTION check_endpoint(url text, event_types text[], channels text[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.check_endpoint(url text, event_types text[], channels text[]) IS 'Raises PR001 or PR002 when an endpoint cannot be as it is asked for.';

--
-- Name: check_header_names(text, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.check_header_names(channel text, headers jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $_$
  select case
      when h.is_name and h.is_twice then format('the header %L is there twice, in other capitals', left(h.name, 40))
      when h.is_name then format('the header %L is not the caller''s to set', left(h.name, 40))
      else format('%L cannot be the name of a header%s', left(h.name, 40),
        case channel when 'email' then ': 1 to 76 printable ASCII characters, no space, no colon' else '' end)
    end
  from (
    select k.name, k.name ~ case channel when 'email' then '^[!-9;-~]{1,76}$' else '^[A-Za-z0-9!#$%&''*+.^_`|~-]+$' end as is_name,
      count(*) over (partition by lower(k.name collate "C")) > 1 as is_twice
    from jsonb_object_keys(headers) as k (name)
  ) as h
  where not h.is_name
    or h.is_twice
    or h.name ~* case channel
      when 'email' then
        '^((from|sender|to|cc|bcc|subject|date|message-id|mime-version|return-path|received|dkim-signature|x-tags|x-smtpapi)$|content-|resent-)'
      else '^((connection|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade)$|content-|proxy-|webhook-)'
    end
  order by h.name
  limit 1
$_$;

--
-- Name: FUNCTION check_header_names(channel text, headers jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.check_header_names(channel text, headers jsonb) IS 'What is wrong with the names of a mail''s or a webhook''s headers, or null: RFC 5322, section 2.2; RFC 9110, section 5.6.2; those that say where it ends and to whom it goes are written by Postroad or the
relay (RFC 5322, sections 3.6.2 to 3.6.7; RFC 9110, section 7.2). The gateways look once more.';

--
-- Name: check_options(text, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.check_options(channel text, options jsonb) RETURNS text
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
        if jsonb_typeof(given) <> 'array' or jsonb_path_exists(given, 'strict $[*] ? (@.type() != "string")') then
          return option || ' must be an array of strings';
        end if;
      when 'headers' then
        if jsonb_typeof(given) <> 'object' or jsonb_path_exists(given, 'strict $.* ? (@.type() != "string")') then
          return 'headers must be an object of strings';
        end if;
        if channel in ('email', 'webhook') and postroad.check_header_names(channel, given) is not null then
          return postroad.check_header_names(channel, given);
        end if;
      when 'attachments' then
        if jsonb_typeof(given) <> 'array' or exists (
          select from jsonb_path_query(given, 'strict $[*]') as a (attachment)
          where jsonb_typeof(a.attachment -> 'filename') is distinct from 'string'
            or jsonb_typeof(a.attachment -> 'content') is distinct from 'string'
            or coalesce(jsonb_typeof(a.attachment -> 'content_type'), 'null') not in ('string', 'null')
            or coalesce(jsonb_typeof(a.attachment -> 'content_id'), 'null') not in ('string', 'null')
        ) then
          return 'attachments must be an array of objects with filename and content (base64), and content_type and content_id where they have them (strings)';
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
            or coalesce(jsonb_typeof(given -> 'media_urls') <> 'array', false) or coalesce(jsonb_path_exists(given -> 'media_urls', 'strict $[*] ? (@.type() != "string")'), false)
            or coalesce((given ->> 'validity_seconds') !~ '^[0-9]{1,6}$' or jsonb_typeof(given -> 'validity_seconds') <> 'number'
              or (given ->> 'validity_seconds')::numeric not between 1 and 172800, false) then
          return 'sms must be an object with media_urls (an array of strings) and validity_seconds (1 to 172800)';
        end if;
      when 'voice' then
        if jsonb_typeof(given) <> 'object' or given - '{language,voice}'::text[] <> '{}' or jsonb_path_exists(given, 'strict $.* ? (@.type() != "string")') then
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
-- Name: FUNCTION check_options(channel text, options jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.check_options(channel text, options jsonb) IS 'What is wrong with the options of a message, or null.';

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
-- Name: checked_secret(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.checked_secret(secret text) RETURNS text
    LANGUAGE plpgsql
    AS $_$
declare
  size integer;
begin
  if secret is null then                         -- 32 bytes, of which 244 bits are random
    return 'whsec_' || encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64');
  end if;
  begin
    size := length(decode(substr(secret, position('_' in secret) + 1), 'base64'));
  exception
    when others then null;                       -- its text must not be told
  end;
  if (secret ~ '^whsec_[A-Za-z0-9+/]+=*$' and size between 24 and 64 or secret ~ '^whsk_[A-Za-z0-9+/]+=*$' and size in (32, 64)) is not true then
    raise exception 'not a secret of Standard Webhooks'
      using errcode = 'PR001', hint = 'whsec_ and 24 to 64 random bytes in base64, or whsk_ and an Ed25519 key of 32 or 64 bytes; null makes one.';
  end if;
  return secret;
end;
$_$;

--
-- Name: FUNCTION checked_secret(secret text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.checked_secret(secret text) IS 'A signing secret that is one, or a new one for null. Raises PR001 otherwise.';

--
-- Name: claim(smallint, uuid, bigint, integer, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.claim(priority smallint, lease_id uuid, worker_id bigint, max_count integer, max_kb integer DEFAULT 8192) RETURNS TABLE(message_id uuid, attempt smallint, verdict text, pause_id bigint, channel text, message_type text, recipient text, content_id uuid, tenant_id bigint, ip_pool text, gateway text, subject text, body text, html text, data jsonb, options jsonb, source_type text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  queue_floor bigint;
  some_paused boolean;
  from_seq bigint;
  row_messages integer;
  row_count integer;
  taken postroad.message_queue[];
  taken_count integer;
  first_ids uuid[];
  low uuid;
  high uuid;
  found_count integer;
  now constant timestamptz := clock_timestamp();
begin
  if max_count < 1 then
    return;
  end if;
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
    select min(h.seq), max(h.messages) into from_seq, row_messages
    from (
      select c.seq, 1 + coalesce(cardinality(c.more_ids), 0) as messages
      from postroad.message_queue_p0 as c
      where c.seq >= queue_floor
      order by c.seq
      limit 4                                    -- the first may be what an earlier claim left of one
    ) as h;
    if from_seq is null then
      return;
    end if;
    if row_messages = 1 then                         -- single messages: rows are taken whole
      with candidate as materialized (
        select c.ctid as place, c.rescues, c.size_kb, 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p0 as c
        where c.seq >= from_seq
        order by c.seq
        limit claim.max_count
        for update skip locked
      ), chosen as (                             -- all of them, nearly always
        select case
            when sum(c.messages) <= claim.max_count and sum(c.messages * c.size_kb) <= claim.max_kb and max(c.rescues) = 0 then array_agg(c.place)
            else array(
              select u.place
              from (
                select c.place, c.messages,
                  row_number() over upto as nth,
                  sum(c.messages) over upto as total_messages,
                  sum(c.messages * c.size_kb) over upto as total_kb,
                  max(c.rescues) over upto as most_rescues
                from candidate as c
                window upto as (rows unbounded preceding)
              ) as u
              where u.total_messages <= claim.max_count
                and (u.total_kb <= claim.max_kb and u.most_rescues = 0 or u.nth = 1 and u.messages = 1)
            )
          end as places
        from candidate as c
      ), picked as materialized (
        delete from postroad.message_queue_p0 as q
        where q.ctid = any ((select c.places from chosen as c)::tid[])
        returning q.*
      ), lease as (
        insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
        select claim.lease_id, claim.worker_id, 0, max(p.rescues),
          case
            when count(p.more_ids) = 0 then array_agg(p.message_id)
            else array(select unnest(p.message_id || p.more_ids) from picked as p)
          end,
          case
            when count(p.more_ids) = 0 then array_agg(p.attempt)
            else array(select unnest(array_fill(p.attempt, array[1 + coalesce(cardinality(p.more_ids), 0)])) from picked as p)
          end
        from picked as p
        having count(*) > 0
      )
      select array_agg((p.seq, p.message_id, p.priority, p.attempt, p.rescues, p.size_kb, p.more_ids)::postroad.message_queue),
        sum(1 + coalesce(cardinality(p.more_ids), 0)),
        (select array_agg(f.message_id order by f.message_id) from picked as f)      -- beside the others it would put them in its order, from Postgres 16 on
      into taken, taken_count, first_ids
      from picked as p;
      if taken is null then
        row_messages := 16;                          -- others took the single ones meanwhile, and what comes first is too much to be taken whole
      end if;
    end if;
    if row_messages > 1 then                         -- messages of bulk sends: of the last row, as many as are wanted
      select ceil(claim.max_count / avg(h.messages)) into row_count
      from (
        select 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p0 as c
        where c.seq >= from_seq
        order by c.seq
        limit 16
      ) as h;
      with candidate as materialized (
        select c.ctid as place, c.rescues, c.size_kb, 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p0 as c
        where c.seq >= from_seq
        order by c.seq
        limit row_count + 3                      -- should the others have as many as the first ones
        for update skip locked
      ), chosen as materialized (
        select u.place, t.taken
        from (
          select c.place, c.messages, c.size_kb,
            row_number() over upto as nth,
            sum(c.messages) over upto - c.messages as messages_before,
            sum(c.messages * c.size_kb) over upto - c.messages * c.size_kb as kb_before,
            max(c.rescues) over upto as most_rescues
          from candidate as c
          window upto as (rows unbounded preceding)
        ) as u,
        lateral (
          select greatest(
            least(u.messages, claim.max_count - u.messages_before, (claim.max_kb - u.kb_before) / nullif(u.size_kb, 0)),
            case when u.nth = 1 then 1 end)::integer as taken
        ) as t
        where t.taken > 0
          and (u.nth = 1 or u.kb_before <= claim.max_kb and u.most_rescues = 0)
      ), whole as materialized (
        delete from postroad.message_queue_p0 as q
        using chosen as c
        where q.ctid = c.place
        returning q.*, c.taken
      ), rest as (                               -- keeps its place
        insert into postroad.message_queue_p0 (seq, message_id, priority, attempt, rescues, size_kb, more_ids)
        select w.seq, w.more_ids[w.taken], w.priority, w.attempt, w.rescues, w.size_kb, nullif(w.more_ids[w.taken + 1:], '{}')
        from whole as w
        where w.more_ids[w.taken] is not null
      ), picked as (
        select w.seq, w.message_id, w.priority, w.attempt, w.rescues, w.size_kb, nullif(w.more_ids[:w.taken - 1], '{}') as more_ids
        from whole as w
      ), lease as (
        insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
        select claim.lease_id, claim.worker_id, 0, max(p.rescues),
          case
            when count(p.more_ids) = 0 then array_agg(p.message_id)
            else array(select unnest(p.message_id || p.more_ids) from picked as p)
          end,
          case
            when count(p.more_ids) = 0 then array_agg(p.attempt)
            else array(select unnest(array_fill(p.attempt, array[1 + coalesce(cardinality(p.more_ids), 0)])) from picked as p)
          end
        from picked as p
        having count(*) > 0
      )
      select array_agg((p.seq, p.message_id, p.priority, p.attempt, p.rescues, p.size_kb, p.more_ids)::postroad.message_queue),
        sum(1 + coalesce(cardinality(p.more_ids), 0)),
        (select array_agg(f.message_id order by f.message_id) from picked as f)      -- beside the others it would put them in its order, from Postgres 16 on
      into taken, taken_count, first_ids
      from picked as p;
    end if;

  when 1 then
    select s.last_value into queue_floor from postroad.queue_floor_p1 as s;
    select min(h.seq), max(h.messages) into from_seq, row_messages
    from (
      select c.seq, 1 + coalesce(cardinality(c.more_ids), 0) as messages
      from postroad.message_queue_p1 as c
      where c.seq >= queue_floor
      order by c.seq
      limit 4                                    -- the first may be what an earlier claim left of one
    ) as h;
    if from_seq is null then
      return;
    end if;
    if row_messages = 1 then                         -- single messages: rows are taken whole
      with candidate as materialized (
        select c.ctid as place, c.rescues, c.size_kb, 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p1 as c
        where c.seq >= from_seq
        order by c.seq
        limit claim.max_count
        for update skip locked
      ), chosen as (                             -- all of them, nearly always
        select case
            when sum(c.messages) <= claim.max_count and sum(c.messages * c.size_kb) <= claim.max_kb and max(c.rescues) = 0 then array_agg(c.place)
            else array(
              select u.place
              from (
                select c.place, c.messages,
                  row_number() over upto as nth,
                  sum(c.messages) over upto as total_messages,
                  sum(c.messages * c.size_kb) over upto as total_kb,
                  max(c.rescues) over upto as most_rescues
                from candidate as c
                window upto as (rows unbounded preceding)
              ) as u
              where u.total_messages <= claim.max_count
                and (u.total_kb <= claim.max_kb and u.most_rescues = 0 or u.nth = 1 and u.messages = 1)
            )
          end as places
        from candidate as c
      ), picked as materialized (
        delete from postroad.message_queue_p1 as q
        where q.ctid = any ((select c.places from chosen as c)::tid[])
        returning q.*
      ), lease as (
        insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
        select claim.lease_id, claim.worker_id, 1, max(p.rescues),
          case
            when count(p.more_ids) = 0 then array_agg(p.message_id)
            else array(select unnest(p.message_id || p.more_ids) from picked as p)
          end,
          case
            when count(p.more_ids) = 0 then array_agg(p.attempt)
            else array(select unnest(array_fill(p.attempt, array[1 + coalesce(cardinality(p.more_ids), 0)])) from picked as p)
          end
        from picked as p
        having count(*) > 0
      )
      select array_agg((p.seq, p.message_id, p.priority, p.attempt, p.rescues, p.size_kb, p.more_ids)::postroad.message_queue),
        sum(1 + coalesce(cardinality(p.more_ids), 0)),
        (select array_agg(f.message_id order by f.message_id) from picked as f)      -- beside the others it would put them in its order, from Postgres 16 on
      into taken, taken_count, first_ids
      from picked as p;
      if taken is null then
        row_messages := 16;                          -- others took the single ones meanwhile, and what comes first is too much to be taken whole
      end if;
    end if;
    if row_messages > 1 then                         -- messages of bulk sends: of the last row, as many as are wanted
      select ceil(claim.max_count / avg(h.messages)) into row_count
      from (
        select 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p1 as c
        where c.seq >= from_seq
        order by c.seq
        limit 16
      ) as h;
      with candidate as materialized (
        select c.ctid as place, c.rescues, c.size_kb, 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p1 as c
        where c.seq >= from_seq
        order by c.seq
        limit row_count + 3                      -- should the others have as many as the first ones
        for update skip locked
      ), chosen as materialized (
        select u.place, t.taken
        from (
          select c.place, c.messages, c.size_kb,
            row_number() over upto as nth,
            sum(c.messages) over upto - c.messages as messages_before,
            sum(c.messages * c.size_kb) over upto - c.messages * c.size_kb as kb_before,
            max(c.rescues) over upto as most_rescues
          from candidate as c
          window upto as (rows unbounded preceding)
        ) as u,
        lateral (
          select greatest(
            least(u.messages, claim.max_count - u.messages_before, (claim.max_kb - u.kb_before) / nullif(u.size_kb, 0)),
            case when u.nth = 1 then 1 end)::integer as taken
        ) as t
        where t.taken > 0
          and (u.nth = 1 or u.kb_before <= claim.max_kb and u.most_rescues = 0)
      ), whole as materialized (
        delete from postroad.message_queue_p1 as q
        using chosen as c
        where q.ctid = c.place
        returning q.*, c.taken
      ), rest as (                               -- keeps its place
        insert into postroad.message_queue_p1 (seq, message_id, priority, attempt, rescues, size_kb, more_ids)
        select w.seq, w.more_ids[w.taken], w.priority, w.attempt, w.rescues, w.size_kb, nullif(w.more_ids[w.taken + 1:], '{}')
        from whole as w
        where w.more_ids[w.taken] is not null
      ), picked as (
        select w.seq, w.message_id, w.priority, w.attempt, w.rescues, w.size_kb, nullif(w.more_ids[:w.taken - 1], '{}') as more_ids
        from whole as w
      ), lease as (
        insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
        select claim.lease_id, claim.worker_id, 1, max(p.rescues),
          case
            when count(p.more_ids) = 0 then array_agg(p.message_id)
            else array(select unnest(p.message_id || p.more_ids) from picked as p)
          end,
          case
            when count(p.more_ids) = 0 then array_agg(p.attempt)
            else array(select unnest(array_fill(p.attempt, array[1 + coalesce(cardinality(p.more_ids), 0)])) from picked as p)
          end
        from picked as p
        having count(*) > 0
      )
      select array_agg((p.seq, p.message_id, p.priority, p.attempt, p.rescues, p.size_kb, p.more_ids)::postroad.message_queue),
        sum(1 + coalesce(cardinality(p.more_ids), 0)),
        (select array_agg(f.message_id order by f.message_id) from picked as f)      -- beside the others it would put them in its order, from Postgres 16 on
      into taken, taken_count, first_ids
      from picked as p;
    end if;

  when 2 then
    select s.last_value into queue_floor from postroad.queue_floor_p2 as s;
    select min(h.seq), max(h.messages) into from_seq, row_messages
    from (
      select c.seq, 1 + coalesce(cardinality(c.more_ids), 0) as messages
      from postroad.message_queue_p2 as c
      where c.seq >= queue_floor
      order by c.seq
      limit 4                                    -- the first may be what an earlier claim left of one
    ) as h;
    if from_seq is null then
      return;
    end if;
    if row_messages = 1 then                         -- single messages: rows are taken whole
      with candidate as materialized (
        select c.ctid as place, c.rescues, c.size_kb, 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p2 as c
        where c.seq >= from_seq
        order by c.seq
        limit claim.max_count
        for update skip locked
      ), chosen as (                             -- all of them, nearly always
        select case
            when sum(c.messages) <= claim.max_count and sum(c.messages * c.size_kb) <= claim.max_kb and max(c.rescues) = 0 then array_agg(c.place)
            else array(
              select u.place
              from (
                select c.place, c.messages,
                  row_number() over upto as nth,
                  sum(c.messages) over upto as total_messages,
                  sum(c.messages * c.size_kb) over upto as total_kb,
                  max(c.rescues) over upto as most_rescues
                from candidate as c
                window upto as (rows unbounded preceding)
              ) as u
              where u.total_messages <= claim.max_count
                and (u.total_kb <= claim.max_kb and u.most_rescues = 0 or u.nth = 1 and u.messages = 1)
            )
          end as places
        from candidate as c
      ), picked as materialized (
        delete from postroad.message_queue_p2 as q
        where q.ctid = any ((select c.places from chosen as c)::tid[])
        returning q.*
      ), lease as (
        insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
        select claim.lease_id, claim.worker_id, 2, max(p.rescues),
          case
            when count(p.more_ids) = 0 then array_agg(p.message_id)
            else array(select unnest(p.message_id || p.more_ids) from picked as p)
          end,
          case
            when count(p.more_ids) = 0 then array_agg(p.attempt)
            else array(select unnest(array_fill(p.attempt, array[1 + coalesce(cardinality(p.more_ids), 0)])) from picked as p)
          end
        from picked as p
        having count(*) > 0
      )
      select array_agg((p.seq, p.message_id, p.priority, p.attempt, p.rescues, p.size_kb, p.more_ids)::postroad.message_queue),
        sum(1 + coalesce(cardinality(p.more_ids), 0)),
        (select array_agg(f.message_id order by f.message_id) from picked as f)      -- beside the others it would put them in its order, from Postgres 16 on
      into taken, taken_count, first_ids
      from picked as p;
      if taken is null then
        row_messages := 16;                          -- others took the single ones meanwhile, and what comes first is too much to be taken whole
      end if;
    end if;
    if row_messages > 1 then                         -- messages of bulk sends: of the last row, as many as are wanted
      select ceil(claim.max_count / avg(h.messages)) into row_count
      from (
        select 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p2 as c
        where c.seq >= from_seq
        order by c.seq
        limit 16
      ) as h;
      with candidate as materialized (
        select c.ctid as place, c.rescues, c.size_kb, 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p2 as c
        where c.seq >= from_seq
        order by c.seq
        limit row_count + 3                      -- should the others have as many as the first ones
        for update skip locked
      ), chosen as materialized (
        select u.place, t.taken
        from (
          select c.place, c.messages, c.size_kb,
            row_number() over upto as nth,
            sum(c.messages) over upto - c.messages as messages_before,
            sum(c.messages * c.size_kb) over upto - c.messages * c.size_kb as kb_before,
            max(c.rescues) over upto as most_rescues
          from candidate as c
          window upto as (rows unbounded preceding)
        ) as u,
        lateral (
          select greatest(
            least(u.messages, claim.max_count - u.messages_before, (claim.max_kb - u.kb_before) / nullif(u.size_kb, 0)),
            case when u.nth = 1 then 1 end)::integer as taken
        ) as t
        where t.taken > 0
          and (u.nth = 1 or u.kb_before <= claim.max_kb and u.most_rescues = 0)
      ), whole as materialized (
        delete from postroad.message_queue_p2 as q
        using chosen as c
        where q.ctid = c.place
        returning q.*, c.taken
      ), rest as (                               -- keeps its place
        insert into postroad.message_queue_p2 (seq, message_id, priority, attempt, rescues, size_kb, more_ids)
        select w.seq, w.more_ids[w.taken], w.priority, w.attempt, w.rescues, w.size_kb, nullif(w.more_ids[w.taken + 1:], '{}')
        from whole as w
        where w.more_ids[w.taken] is not null
      ), picked as (
        select w.seq, w.message_id, w.priority, w.attempt, w.rescues, w.size_kb, nullif(w.more_ids[:w.taken - 1], '{}') as more_ids
        from whole as w
      ), lease as (
        insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
        select claim.lease_id, claim.worker_id, 2, max(p.rescues),
          case
            when count(p.more_ids) = 0 then array_agg(p.message_id)
            else array(select unnest(p.message_id || p.more_ids) from picked as p)
          end,
          case
            when count(p.more_ids) = 0 then array_agg(p.attempt)
            else array(select unnest(array_fill(p.attempt, array[1 + coalesce(cardinality(p.more_ids), 0)])) from picked as p)
          end
        from picked as p
        having count(*) > 0
      )
      select array_agg((p.seq, p.message_id, p.priority, p.attempt, p.rescues, p.size_kb, p.more_ids)::postroad.message_queue),
        sum(1 + coalesce(cardinality(p.more_ids), 0)),
        (select array_agg(f.message_id order by f.message_id) from picked as f)      -- beside the others it would put them in its order, from Postgres 16 on
      into taken, taken_count, first_ids
      from picked as p;
    end if;

  when 3 then
    select s.last_value into queue_floor from postroad.queue_floor_p3 as s;
    select min(h.seq), max(h.messages) into from_seq, row_messages
    from (
      select c.seq, 1 + coalesce(cardinality(c.more_ids), 0) as messages
      from postroad.message_queue_p3 as c
      where c.seq >= queue_floor
      order by c.seq
      limit 4                                    -- the first may be what an earlier claim left of one
    ) as h;
    if from_seq is null then
      return;
    end if;
    if row_messages = 1 then                         -- single messages: rows are taken whole
      with candidate as materialized (
        select c.ctid as place, c.rescues, c.size_kb, 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p3 as c
        where c.seq >= from_seq
        order by c.seq
        limit claim.max_count
        for update skip locked
      ), chosen as (                             -- all of them, nearly always
        select case
            when sum(c.messages) <= claim.max_count and sum(c.messages * c.size_kb) <= claim.max_kb and max(c.rescues) = 0 then array_agg(c.place)
            else array(
              select u.place
              from (
                select c.place, c.messages,
                  row_number() over upto as nth,
                  sum(c.messages) over upto as total_messages,
                  sum(c.messages * c.size_kb) over upto as total_kb,
                  max(c.rescues) over upto as most_rescues
                from candidate as c
                window upto as (rows unbounded preceding)
              ) as u
              where u.total_messages <= claim.max_count
                and (u.total_kb <= claim.max_kb and u.most_rescues = 0 or u.nth = 1 and u.messages = 1)
            )
          end as places
        from candidate as c
      ), picked as materialized (
        delete from postroad.message_queue_p3 as q
        where q.ctid = any ((select c.places from chosen as c)::tid[])
        returning q.*
      ), lease as (
        insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
        select claim.lease_id, claim.worker_id, 3, max(p.rescues),
          case
            when count(p.more_ids) = 0 then array_agg(p.message_id)
            else array(select unnest(p.message_id || p.more_ids) from picked as p)
          end,
          case
            when count(p.more_ids) = 0 then array_agg(p.attempt)
            else array(select unnest(array_fill(p.attempt, array[1 + coalesce(cardinality(p.more_ids), 0)])) from picked as p)
          end
        from picked as p
        having count(*) > 0
      )
      select array_agg((p.seq, p.message_id, p.priority, p.attempt, p.rescues, p.size_kb, p.more_ids)::postroad.message_queue),
        sum(1 + coalesce(cardinality(p.more_ids), 0)),
        (select array_agg(f.message_id order by f.message_id) from picked as f)      -- beside the others it would put them in its order, from Postgres 16 on
      into taken, taken_count, first_ids
      from picked as p;
      if taken is null then
        row_messages := 16;                          -- others took the single ones meanwhile, and what comes first is too much to be taken whole
      end if;
    end if;
    if row_messages > 1 then                         -- messages of bulk sends: of the last row, as many as are wanted
      select ceil(claim.max_count / avg(h.messages)) into row_count
      from (
        select 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p3 as c
        where c.seq >= from_seq
        order by c.seq
        limit 16
      ) as h;
      with candidate as materialized (
        select c.ctid as place, c.rescues, c.size_kb, 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p3 as c
        where c.seq >= from_seq
        order by c.seq
        limit row_count + 3                      -- should the others have as many as the first ones
        for update skip locked
      ), chosen as materialized (
        select u.place, t.taken
        from (
          select c.place, c.messages, c.size_kb,
            row_number() over upto as nth,
            sum(c.messages) over upto - c.messages as messages_before,
            sum(c.messages * c.size_kb) over upto - c.messages * c.size_kb as kb_before,
            max(c.rescues) over upto as most_rescues
          from candidate as c
          window upto as (rows unbounded preceding)
        ) as u,
        lateral (
          select greatest(
            least(u.messages, claim.max_count - u.messages_before, (claim.max_kb - u.kb_before) / nullif(u.size_kb, 0)),
            case when u.nth = 1 then 1 end)::integer as taken
        ) as t
        where t.taken > 0
          and (u.nth = 1 or u.kb_before <= claim.max_kb and u.most_rescues = 0)
      ), whole as materialized (
        delete from postroad.message_queue_p3 as q
        using chosen as c
        where q.ctid = c.place
        returning q.*, c.taken
      ), rest as (                               -- keeps its place
        insert into postroad.message_queue_p3 (seq, message_id, priority, attempt, rescues, size_kb, more_ids)
        select w.seq, w.more_ids[w.taken], w.priority, w.attempt, w.rescues, w.size_kb, nullif(w.more_ids[w.taken + 1:], '{}')
        from whole as w
        where w.more_ids[w.taken] is not null
      ), picked as (
        select w.seq, w.message_id, w.priority, w.attempt, w.rescues, w.size_kb, nullif(w.more_ids[:w.taken - 1], '{}') as more_ids
        from whole as w
      ), lease as (
        insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
        select claim.lease_id, claim.worker_id, 3, max(p.rescues),
          case
            when count(p.more_ids) = 0 then array_agg(p.message_id)
            else array(select unnest(p.message_id || p.more_ids) from picked as p)
          end,
          case
            when count(p.more_ids) = 0 then array_agg(p.attempt)
            else array(select unnest(array_fill(p.attempt, array[1 + coalesce(cardinality(p.more_ids), 0)])) from picked as p)
          end
        from picked as p
        having count(*) > 0
      )
      select array_agg((p.seq, p.message_id, p.priority, p.attempt, p.rescues, p.size_kb, p.more_ids)::postroad.message_queue),
        sum(1 + coalesce(cardinality(p.more_ids), 0)),
        (select array_agg(f.message_id order by f.message_id) from picked as f)      -- beside the others it would put them in its order, from Postgres 16 on
      into taken, taken_count, first_ids
      from picked as p;
    end if;

  when 4 then
    select s.last_value into queue_floor from postroad.queue_floor_p4 as s;
    select min(h.seq), max(h.messages) into from_seq, row_messages
    from (
      select c.seq, 1 + coalesce(cardinality(c.more_ids), 0) as messages
      from postroad.message_queue_p4 as c
      where c.seq >= queue_floor
      order by c.seq
      limit 4                                    -- the first may be what an earlier claim left of one
    ) as h;
    if from_seq is null then
      return;
    end if;
    if row_messages = 1 then                         -- single messages: rows are taken whole
      with candidate as materialized (
        select c.ctid as place, c.rescues, c.size_kb, 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p4 as c
        where c.seq >= from_seq
        order by c.seq
        limit claim.max_count
        for update skip locked
      ), chosen as (                             -- all of them, nearly always
        select case
            when sum(c.messages) <= claim.max_count and sum(c.messages * c.size_kb) <= claim.max_kb and max(c.rescues) = 0 then array_agg(c.place)
            else array(
              select u.place
              from (
                select c.place, c.messages,
                  row_number() over upto as nth,
                  sum(c.messages) over upto as total_messages,
                  sum(c.messages * c.size_kb) over upto as total_kb,
                  max(c.rescues) over upto as most_rescues
                from candidate as c
                window upto as (rows unbounded preceding)
              ) as u
              where u.total_messages <= claim.max_count
                and (u.total_kb <= claim.max_kb and u.most_rescues = 0 or u.nth = 1 and u.messages = 1)
            )
          end as places
        from candidate as c
      ), picked as materialized (
        delete from postroad.message_queue_p4 as q
        where q.ctid = any ((select c.places from chosen as c)::tid[])
        returning q.*
      ), lease as (
        insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
        select claim.lease_id, claim.worker_id, 4, max(p.rescues),
          case
            when count(p.more_ids) = 0 then array_agg(p.message_id)
            else array(select unnest(p.message_id || p.more_ids) from picked as p)
          end,
          case
            when count(p.more_ids) = 0 then array_agg(p.attempt)
            else array(select unnest(array_fill(p.attempt, array[1 + coalesce(cardinality(p.more_ids), 0)])) from picked as p)
          end
        from picked as p
        having count(*) > 0
      )
      select array_agg((p.seq, p.message_id, p.priority, p.attempt, p.rescues, p.size_kb, p.more_ids)::postroad.message_queue),
        sum(1 + coalesce(cardinality(p.more_ids), 0)),
        (select array_agg(f.message_id order by f.message_id) from picked as f)      -- beside the others it would put them in its order, from Postgres 16 on
      into taken, taken_count, first_ids
      from picked as p;
      if taken is null then
        row_messages := 16;                          -- others took the single ones meanwhile, and what comes first is too much to be taken whole
      end if;
    end if;
    if row_messages > 1 then                         -- messages of bulk sends: of the last row, as many as are wanted
      select ceil(claim.max_count / avg(h.messages)) into row_count
      from (
        select 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p4 as c
        where c.seq >= from_seq
        order by c.seq
        limit 16
      ) as h;
      with candidate as materialized (
        select c.ctid as place, c.rescues, c.size_kb, 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p4 as c
        where c.seq >= from_seq
        order by c.seq
        limit row_count + 3                      -- should the others have as many as the first ones
        for update skip locked
      ), chosen as materialized (
        select u.place, t.taken
        from (
          select c.place, c.messages, c.size_kb,
            row_number() over upto as nth,
            sum(c.messages) over upto - c.messages as messages_before,
            sum(c.messages * c.size_kb) over upto - c.messages * c.size_kb as kb_before,
            max(c.rescues) over upto as most_rescues
          from candidate as c
          window upto as (rows unbounded preceding)
        ) as u,
        lateral (
          select greatest(
            least(u.messages, claim.max_count - u.messages_before, (claim.max_kb - u.kb_before) / nullif(u.size_kb, 0)),
            case when u.nth = 1 then 1 end)::integer as taken
        ) as t
        where t.taken > 0
          and (u.nth = 1 or u.kb_before <= claim.max_kb and u.most_rescues = 0)
      ), whole as materialized (
        delete from postroad.message_queue_p4 as q
        using chosen as c
        where q.ctid = c.place
        returning q.*, c.taken
      ), rest as (                               -- keeps its place
        insert into postroad.message_queue_p4 (seq, message_id, priority, attempt, rescues, size_kb, more_ids)
        select w.seq, w.more_ids[w.taken], w.priority, w.attempt, w.rescues, w.size_kb, nullif(w.more_ids[w.taken + 1:], '{}')
        from whole as w
        where w.more_ids[w.taken] is not null
      ), picked as (
        select w.seq, w.message_id, w.priority, w.attempt, w.rescues, w.size_kb, nullif(w.more_ids[:w.taken - 1], '{}') as more_ids
        from whole as w
      ), lease as (
        insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
        select claim.lease_id, claim.worker_id, 4, max(p.rescues),
          case
            when count(p.more_ids) = 0 then array_agg(p.message_id)
            else array(select unnest(p.message_id || p.more_ids) from picked as p)
          end,
          case
            when count(p.more_ids) = 0 then array_agg(p.attempt)
            else array(select unnest(array_fill(p.attempt, array[1 + coalesce(cardinality(p.more_ids), 0)])) from picked as p)
          end
        from picked as p
        having count(*) > 0
      )
      select array_agg((p.seq, p.message_id, p.priority, p.attempt, p.rescues, p.size_kb, p.more_ids)::postroad.message_queue),
        sum(1 + coalesce(cardinality(p.more_ids), 0)),
        (select array_agg(f.message_id order by f.message_id) from picked as f)      -- beside the others it would put them in its order, from Postgres 16 on
      into taken, taken_count, first_ids
      from picked as p;
    end if;

  end case;
  if taken is null then
    return;
  end if;
  -- A statement of its own: it is set up for the days that they are of, and not for each that is kept.
  low := first_ids[1];
  high := (left(first_ids[cardinality(first_ids)]::text, 29) || 'fffffff')::uuid;          -- of any row that begins there: see queue_row_of
  return query
  select m.message_id, m.attempt,
    case
      when m.expires_at <= now then 'expired'
      when exists (
        select from postroad.suppression_list as s
        where s.address = case when m.channel = 'email' then lower(m.recipient) else m.recipient end
          and (s.channel is null or s.channel = m.channel)
          and (s.tenant_id is null or s.tenant_id = m.tenant_id)
          and (s.expires_at is null or s.expires_at > now)
      ) then 'suppressed'
      when m.pause_id is not null then 'paused'
    end,
    m.pause_id, m.channel, m.message_type, m.recipient, m.content_id, m.tenant_id, m.ip_pool, m.gateway, m.subject, m.body, m.html,
    case when m.channel not in ('email', 'sms', 'voice') then m.data end,
    case when m.options ?| '{cc,bcc}' then postroad.without_suppressed_copies(m.options, m.tenant_id) else m.options end, m.source_type
  from (
    select p.attempt, m.*,
      case when some_paused then postroad.pause_of(m.channel, m.source_type, m.source_id, m.tenant_id, m.recipient) end as pause_id
    from unnest(taken) as p,
    lateral (                                    -- looked up row by row, even where the planner believes that a day holds nothing yet
      select m.message_id, m.expires_at, m.channel, m.message_type, m.recipient, m.content_id, m.tenant_id, m.ip_pool, m.gateway, m.subject, m.body, m.html,
        m.data, m.options, m.source_type, m.source_id
      from postroad.messages as m
      where m.message_id between p.message_id and coalesce(p.more_ids[cardinality(p.more_ids)], p.message_id)
        and m.message_id between low and high
      offset 0
    ) as m
    where p.more_ids is null
      or m.message_id = p.message_id
      or array_position(p.more_ids, m.message_id) is not null
    offset 0
  ) as m;
  get diagnostics found_count = row_count;
  if found_count = taken_count then
    return;
  end if;
  -- Records that were kept when their day was dropped, and those that are gone.
  return query
  select p.message_id, p.attempt,
    case
      when k.message_id is null then 'record_gone'
      when k.expires_at <= now then 'expired'
      when postroad.suppressed_by(k.channel, k.recipient, k.tenant_id) is not null then 'suppressed'
      when x.pause_id is not null then 'paused'
    end,
    x.pause_id,
    k.channel, k.message_type, k.recipient, k.content_id, k.tenant_id, k.ip_pool, k.gateway, k.subject, k.body, k.html,
    case when k.channel not in ('email', 'sms', 'voice') then k.data end,
    case when k.options ?| '{cc,bcc}' then postroad.without_suppressed_copies(k.options, k.tenant_id) else k.options end, k.source_type
  from postroad.leases as l, unnest(l.message_ids, l.attempts) as p (message_id, attempt)
  left join lateral (select x.* from postroad.messages_kept as x where x.message_id = p.message_id offset 0) as k on true
  left join lateral (select postroad.pause_of(k.channel, k.source_type, k.source_id, k.tenant_id, k.recipient) as pause_id) as x on true
  where l.lease_id = claim.lease_id
    and not exists (select from postroad.messages as m where m.message_id = p.message_id offset 0);
end;
$$;

--
-- Name: FUNCTION claim(priority smallint, lease_id uuid, worker_id bigint, max_count integer, max_kb integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.claim(priority smallint, lease_id uuid, worker_id bigint, max_count integer, max_kb integer) IS 'Takes the oldest messages of a priority out of the queue, at most max_count and max_kb KiB (but one at least), under lease_id, which the caller made.
A message that was rescued from a dead worker is claimed alone. Each row is a message with a verdict: null means send it; expired, suppressed, paused (see pause_id) and
record_gone mean that its outcome must be completed without a send. content_id names the shared content of a bulk send; see fetch_contents. data is left out for channels that carry
none (email, sms, voice).
Of a row of several messages (message_queue.more_ids) those that are not taken keep their place; behind single messages such a row is taken whole or left, so that up to 15
fewer may come than wait, and more where rows of few
messages follow rows of many.
Raises PR010 when worker_id is not registered. On any error the caller calls release(lease_id): the claim may have been committed.';

--
-- Name: claim_webhooks(integer, bigint[], interval, bigint[], timestamp with time zone[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.claim_webhooks(max_each integer, busy bigint[], hold interval DEFAULT '00:01:00'::interval, known bigint[] DEFAULT '{}'::bigint[], after timestamp with time zone[] DEFAULT '{}'::timestamp with time zone[]) RETURNS TABLE(delivery_id bigint, endpoint_id bigint, url text, secrets text[], webhook_id text, payload text, attempts smallint, reached timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
begin
  return query
  with due as materialized (
    select d.delivery_id, least(d.due_at, clock_timestamp() - interval '2 seconds') as reached
    from postroad.webhook_endpoints as e,
      lateral (
        select o.delivery_id, o.due_at
        from postroad.webhook_outbox as o
        where o.endpoint_id = e.endpoint_id
          and o.due_at >= coalesce((select max(k.at) from unnest(known, after) as k (id, at) where k.id = e.endpoint_id), '-infinity')
          and o.due_at <= clock_timestamp()
        order by o.due_at, o.delivery_id
        -- One that fails gets one request at a time: it is asked, not stormed.
        limit greatest(case when e.failing_since is null then max_each else least(max_each, 1) end
          - (select count(*) from unnest(busy) as b (id) where b.id = e.endpoint_id), 0)
        for update skip locked
      ) as d
    where e.disabled_at is null
  ), taken as (
    update postroad.webhook_outbox as o
    set due_at = clock_timestamp() + hold
    where o.delivery_id = any (array(select d.delivery_id from due as d))      -- no join: of what is posted already there may be millions
    returning o.delivery_id, o.endpoint_id, o.webhook_id, o.payload, o.attempts
  )
  select t.delivery_id, t.endpoint_id, e.url,
    array(
      select s.secret
      from postroad.webhook_secrets as s
      where s.endpoint_id = e.endpoint_id
        and (s.valid_until is null or s.valid_until > clock_timestamp())
      order by s.valid_until desc nulls first
    ),
    t.webhook_id, t.payload, t.attempts, d.reached
  from taken as t
  join due as d using (delivery_id)
  join postroad.webhook_endpoints as e using (endpoint_id)
  order by t.delivery_id;
end;
$$;

--
-- Name: FUNCTION claim_webhooks(max_each integer, busy bigint[], hold interval, known bigint[], after timestamp with time zone[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.claim_webhooks(max_each integer, busy bigint[], hold interval, known bigint[], after timestamp with time zone[]) IS 'Takes deliveries that are due, at most max_each of an endpoint less those that the caller has under way (busy: an endpoint id for each), of an endpoint that fails one. They are due
again after hold: what a process that dies had taken is posted by another one.
Of the endpoints in known it looks from the times in after on, as of promote_due: dead versions before, which a held snapshot keeps, are passed once. reached is where to look from next time,
two seconds ago at the latest, since due times are not committed in order; some come later still: start over without them now and then.';

--
-- Name: consumers; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.consumers (
    consumer text NOT NULL COLLATE pg_catalog."C",
    event_types text[],
    registered_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    read_at timestamp with time zone,
    acked_at timestamp with time zone,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    seen txid_snapshot NOT NULL,
    upto_at timestamp with time zone,
    upto txid_snapshot,
    at_xid bigint,
    at_key uuid,
    batch_id bigint DEFAULT 0 NOT NULL,
    batch_xid bigint,
    batch_key uuid,
    split_last uuid,
    registered_by text
)
WITH (fillfactor='50');

--
-- Name: TABLE consumers; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.consumers IS 'The position of each reader of events.';

--
-- Name: COLUMN consumers.event_types; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.consumers.event_types IS 'What it reads: see register_consumer.';

--
-- Name: COLUMN consumers.seen_at; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.consumers.seen_at IS 'When that snapshot was taken: how far behind it is.';

--
-- Name: COLUMN consumers.seen; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.consumers.seen IS 'All that this snapshot sees was read and acknowledged.';

--
-- Name: COLUMN consumers.upto; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.consumers.upto IS 'The interval under way ends with this snapshot; null between two intervals.';

--
-- Name: COLUMN consumers.at_xid; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.consumers.at_xid IS 'Of that interval, what was acknowledged: up to this transaction and, in it, this key.';

--
-- Name: COLUMN consumers.batch_id; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.consumers.batch_id IS 'The last batch that was read.';

--
-- Name: COLUMN consumers.batch_xid; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.consumers.batch_xid IS 'The end of the batch that is not acknowledged yet (with batch_key); null when there is none.';

--
-- Name: COLUMN consumers.split_last; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.consumers.split_last IS 'The last key of the transaction at_xid, which is larger than a batch.';

--
-- Name: COLUMN consumers.registered_by; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.consumers.registered_by IS 'A database user, or a caller of the HTTP API (key:7, jwt:…): see postroad.check_consumer_owner. Null: it was registered before this was noted, or is our own.';

--
-- Name: close_batch(postroad.consumers); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.close_batch(reader postroad.consumers) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  update postroad.consumers as c
  set at_xid = reader.batch_xid, at_key = reader.batch_key, batch_xid = null, batch_key = null, acked_at = clock_timestamp()
  where c.consumer = reader.consumer;
end;
$$;

--
-- Name: FUNCTION close_batch(reader postroad.consumers); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.close_batch(reader postroad.consumers) IS 'Acknowledges the batch that a reader has open.';

--
-- Name: complete(uuid[], uuid[], text[], smallint[], text[], text[], text[], jsonb[], double precision[], boolean[], bigint[], uuid[], jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.complete(lease_ids uuid[], message_ids uuid[], event_types text[], attempts smallint[], gateways text[], external_ids text[], reasons text[], details jsonb[], retry_seconds double precision[], counted boolean[], pause_ids bigint[], finished uuid[], tallies jsonb DEFAULT NULL::jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_nestloop TO 'off'
    SET jit TO 'off'
    AS $$
declare
  held uuid[];
  withdrawn uuid[];
  parking bigint[];
  given uuid[] := array(select distinct u.id from (select unnest(lease_ids) as id) as u);
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
      insert into postroad.delivery_events (message_id, lease_id, event_type, attempt, gateway, external_id, reason, bounce_type, detail, is_tallied)
      select u.message_id, u.lease_id, u.event_type, u.attempt, u.gateway, u.external_id, u.reason,
        case when u.event_type = 'bounced' then 'hard' end, u.detail, tallies is not null
      from (                                     -- in the select list arrays are read as they are; in FROM they would be written out and read again
        select unnest(message_ids) as message_id, unnest(lease_ids) as lease_id, unnest(event_types) as event_type, unnest(attempts) as attempt,
          unnest(gateways) as gateway, unnest(external_ids) as external_id, unnest(reasons) as reason, unnest(details) as detail
      ) as u;
      insert into postroad.event_tallies (day, events, channel, gateway, message_type, source_type, tenant_id, event_type)
      select postroad.day_of(t.message_id), t.events, coalesce(t.channel, ''), t.gateway, coalesce(t.message_type, ''), t.source_type, t.tenant_id, t.event_type
      from jsonb_to_recordset(tallies)
        as t (message_id uuid, events integer, channel text, gateway text, message_type text, source_type text, tenant_id bigint, event_type text);
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
    -- A resume that comes later waits, then finds what is parked here. One that is under way is not waited for: it may take as long as its transaction.
    parking := array(
      select x.pause_id
      from postroad.pauses as x
      where x.pause_id = any (pause_ids)
      order by x.pause_id
      for share skip locked
    );
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
        case
          when x.pause_id is not null then 'infinity'
          else clock_timestamp() + make_interval(secs => case
            when exists (select from postroad.pauses as p where p.pause_id = o.pause_id) then 5        -- somebody is about to change it
            else o.retry_seconds
          end)
        end,
        x.pause_id, l.priority, case when o.counted then o.attempt else o.attempt - 1 end
      from recorded as r
      join outcome as o using (message_id, lease_id)
      join postroad.leases as l on l.lease_id = o.lease_id
      left join unnest(parking) as x (pause_id) on x.pause_id = o.pause_id
      where o.retry_seconds is not null
        and o.lease_id = any (held)
      on conflict do nothing
    )
    select array_agg(r.message_id order by r.message_id) into withdrawn
    from recorded as r
    where r.lease_id <> all (held)
      and r.event_type <> 'deferred';
    perform postroad.withdraw(u.id)              -- their lease was rescued, yet they went out: what waits for them to go out again, if unclaimed, goes
    from unnest(withdrawn) as u (id);
  end if;

  if 'bounced' = any (event_types) then          -- the recipient's own fault, which few are
    perform postroad.follow_bounces(
      array(select u.message_id from unnest(message_ids, event_types) as u (message_id, event_type) where u.event_type = 'bounced'), given);
  end if;

  if cardinality(finished) > 0 then
    delete from postroad.leases as l where l.lease_id = any (finished);
    delete from postroad.intents as i where i.lease_id = any (finished);
  end if;
end;
$$;

--
-- Name: FUNCTION complete(lease_ids uuid[], message_ids uuid[], event_types text[], attempts smallint[], gateways text[], external_ids text[], reasons text[], details jsonb[], retry_seconds double precision[], counted boolean[], pause_ids bigint[], finished uuid[], tallies jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.complete(lease_ids uuid[], message_ids uuid[], event_types text[], attempts smallint[], gateways text[], external_ids text[], reasons text[], details jsonb[], retry_seconds double precision[], counted boolean[], pause_ids bigint[], finished uuid[], tallies jsonb) IS 'Records the outcomes of claimed messages, one element of each array an outcome (an array that is null throughout may be empty): an event of its type, and where retry_seconds
is given another attempt after so long; counted false: this attempt does not count (a fault of the gateway, a pause); pause_ids: parked until that pause is resumed.
A bounce suppresses its recipient, by suppression_rules; see follow_bounces.
finished: leases whose messages all have an outcome.
tallies: how many of the events there are by what they are counted by, [{"message_id", "events", "channel", "gateway", "message_type", "source_type", "tenant_id", "event_type"}, …], message_id any of theirs (they are of one day), which spares
count_events the look at each; used where all outcomes are new and none is tried again. May be called again after an error: what is recorded already stays as it is. Outcomes of a lease that was rescued
meanwhile are recorded; their retries are not.';

--
-- Name: complete_webhook(bigint, integer, text, double precision, interval); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.complete_webhook(delivery_id bigint, status integer, error text, retry_seconds double precision, disable_after interval DEFAULT '5 days'::interval) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
declare
  succeeded constant boolean := error is null;
  endpoint postroad.webhook_endpoints;
  why text;
begin
  update postroad.webhook_outbox as o
  set attempts = o.attempts + 1, last_status = status, last_error = error,
    due_at = case when not succeeded then clock_timestamp() + make_interval(secs => retry_seconds) end,
    finished_at = case when succeeded or retry_seconds is null then clock_timestamp() end
  where o.delivery_id = complete_webhook.delivery_id
    and o.finished_at is null;
  if not found then
    return;                                      -- recorded already, or the endpoint is gone
  end if;
  select e.* into endpoint
  from postroad.webhook_endpoints as e
  where e.endpoint_id = (select o.endpoint_id from postroad.webhook_outbox as o where o.delivery_id = complete_webhook.delivery_id);
  if succeeded then
    -- The time of each success is not worth a row version.
    if endpoint.failing_since is not null or endpoint.last_success_at is null or endpoint.last_success_at < clock_timestamp() - interval '10 seconds' then
      update postroad.webhook_endpoints as e
      set failing_since = null, last_success_at = clock_timestamp()
      where e.endpoint_id = endpoint.endpoint_id;
    end if;
    return;
  end if;
  why := case
    when status = 410 then 'gone'
    when endpoint.failing_since < clock_timestamp() - disable_after then 'failing'
  end;
  update postroad.webhook_endpoints as e
  set failing_since = coalesce(e.failing_since, clock_timestamp()), last_failure_at = clock_timestamp(), last_failure = error,
    disabled_at = case when why is not null then clock_timestamp() end, disabled_reason = why
  where e.endpoint_id = endpoint.endpoint_id
    and e.disabled_at is null;
  if found and why is not null then
    perform postroad.emit_system_event('endpoint_disabled', endpoint.endpoint_id::text, jsonb_strip_nulls(jsonb_build_object(
      'reason', why, 'failing_since', endpoint.failing_since, 'tenant_id', endpoint.tenant_id)));
  end if;
end;
$$;

--
-- Name: FUNCTION complete_webhook(delivery_id bigint, status integer, error text, retry_seconds double precision, disable_after interval); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.complete_webhook(delivery_id bigint, status integer, error text, retry_seconds double precision, disable_after interval) IS 'Records an attempt: status is that of the answer, if there was one; error null is a success; retry_seconds: when it is tried again, null for never. 410 disables the endpoint at once,
and so does a failure when nothing has succeeded for disable_after: a system event says so. Recorded twice, it counts once.';

--
-- Name: consumer_owner(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.consumer_owner() RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select case
    when pg_has_role(session_user, 'postroad_http', 'member') then coalesce(nullif(current_setting('postroad.caller', true), ''), session_user)
    else session_user
  end
$$;

--
-- Name: FUNCTION consumer_owner(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.consumer_owner() IS 'To whom a reader of events belongs that is registered now: the caller of the HTTP API, whom only a server may name, or the database user.';

--
-- Name: convert(uuid, jsonb, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.convert(message_id uuid, detail jsonb DEFAULT NULL::jsonb, key text DEFAULT NULL::text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
begin
  if jsonb_typeof(detail) <> 'object' then
    raise exception 'detail must be a JSON object, got %', jsonb_typeof(detail)
      using errcode = 'PR001', hint = 'Such as {"order": 42, "amount": "19.90"}.';
  elsif length(key) not between 1 and 200 then
    raise exception 'key must have 1 to 200 characters, got %', length(key)
      using errcode = 'PR001', hint = 'Such as ''order-42''; without a key a message converts once.';
  end if;
  -- A message without a record is one whose day is gone, or none of ours.
  if not exists (select from postroad.messages as m where m.message_id = convert.message_id)
      and not exists (select from postroad.messages_kept as k where k.message_id = convert.message_id)
      and (substr(message_id::text, 15, 1) = '7' and postroad.created_at(message_id) < clock_timestamp() - interval '1 day'
        and nullif(current_setting('postroad.tenant', true), '') is null) is not true then
    return false;
  end if;
  insert into postroad.delivery_events (message_id, event_type, source_key, detail)
  values (message_id, 'converted', 'convert' || coalesce(':' || key, ''), detail)
  on conflict do nothing;
  return found;
end;
$$;

--
-- Name: FUNCTION convert(message_id uuid, detail jsonb, key text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.convert(message_id uuid, detail jsonb, key text) IS 'Records that the recipient did what a message was for: event converted, with detail, a JSON object such as {"order": 42}. Once for each key, such as ''order-42''; without
a key once for the message. True when it is new; false when it was recorded before, or the message is not known. It changes no status. A message whose day is gone converts
too, but for callers that are bound to a tenant. Raises PR001 when detail is no object, or the key is longer than 200 characters.';

--
-- Name: count_events(integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.count_events(max_count integer DEFAULT 200000) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET work_mem TO '64MB'
    SET jit TO 'off'
    SET max_parallel_workers_per_gather TO '0'
    SET enable_seqscan TO 'off'
    SET enable_sort TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  all_of_it constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
  reader postroad.consumers;
  goes_on boolean;
  early bigint[];
  first bigint;
  last bigint;
  upper bigint;
  width bigint := 1000;
  found_count bigint;
  counted bigint := 0;
begin
  if not exists (select from postroad.event_ticks as t where t.at between clock_timestamp() - interval '1 minute' and clock_timestamp()) then
    insert into postroad.event_ticks (snapshot) values (postroad.event_snapshot()) on conflict do nothing;
  end if;
  if not postroad.has_news('_counters') then
    return 0;
  end if;
  select c.* into reader from postroad.consumers as c where c.consumer = '_counters' for update skip locked;
  if not found then
    return 0;                                    -- somebody else is counting
  end if;
  goes_on := reader.upto is not null;
  reader := postroad.open_interval(reader);
  reader.at_xid := coalesce(reader.at_xid, 0);
  reader.at_key := coalesce(reader.at_key, all_of_it);
  select s.early, s.first into early, first from postroad.interval_start(reader.seen, reader.upto) as s;
  early := array(select u.id from unnest(early) as u (id) where u.id >= reader.at_xid);
  first := greatest(first, reader.at_xid);
  upper := txid_snapshot_xmax(reader.upto) - 1;
  loop                                           -- whole transactions, looked at once, in steps that grow while they bring few
    last := least(first + width - 1, upper);
    with tally as (
      delete from postroad.event_tallies as t
      where (t.xid between first and last or t.xid = any (early))
        and not txid_visible_in_snapshot(t.xid, reader.seen) and txid_visible_in_snapshot(t.xid, reader.upto)
      returning t.*
    ), counts as materialized (
      select (q.minute at time zone 'UTC')::date as day, q.*
      from (
        select date_trunc('minute', m.at) as minute, m.channel, null::text collate "C" as gateway, m.message_type, m.source_type, m.tenant_id,
          'queued'::text collate "C" as event_type, count(*) as events, max(m.at) as last_at
        from (
          select postroad.created_at(m.message_id) as at, m.channel, m.message_type, m.source_type, m.tenant_id
          from postroad.messages as m
          where (m.xid between first and last or m.xid = any (early))
            and not txid_visible_in_snapshot(m.xid, reader.seen) and txid_visible_in_snapshot(m.xid, reader.upto)
            and (m.xid, m.message_id) > (reader.at_xid, reader.at_key)
          offset 0
        ) as m
        group by 1, 2, 4, 5, 6
      ) as q
      union all
      select postroad.day_of(e.message_id), date_trunc('minute', e.occurred_at), coalesce(m.channel, k.channel, ''), e.gateway,
        coalesce(m.message_type, k.message_type, ''), coalesce(m.source_type, k.source_type), coalesce(m.tenant_id, k.tenant_id), e.event_type,
        count(*), max(e.occurred_at)
      from (
        select e.occurred_at, e.message_id, e.gateway, e.event_type
        from postroad.delivery_events as e
        where (e.xid between first and last or e.xid = any (early))
          and not txid_visible_in_snapshot(e.xid, reader.seen) and txid_visible_in_snapshot(e.xid, reader.upto)
          and not e.is_tallied
          and (e.xid, e.message_id) > (reader.at_xid, reader.at_key)
        offset 0
      ) as e
      left join lateral (select m.* from postroad.messages as m where m.message_id = e.message_id offset 0) as m on true
      left join postroad.messages_kept as k on m.message_id is null and k.message_id = e.message_id
      group by 1, 2, 3, 4, 5, 6, 7, 8
      union all
      select t.day, date_trunc('minute', t.at), t.channel, t.gateway, t.message_type, t.source_type, t.tenant_id, t.event_type, t.events, t.at
      from tally as t
    ), by_day as (
      insert into postroad.message_counters as c (day, channel, gateway, message_type, source_type, tenant_id, event_type, count)
      select n.day, n.channel, n.gateway, n.message_type, n.source_type, n.tenant_id, n.event_type, sum(n.events)
      from counts as n
      group by 1, 2, 3, 4, 5, 6, 7
      on conflict on constraint message_counters_are_unique do update
      set count = c.count + excluded.count
    ), by_minute as (
      insert into postroad.event_minutes as c (minute, channel, gateway, event_type, events, last_at)
      select n.minute, n.channel, n.gateway, n.event_type, sum(n.events), max(n.last_at)
      from counts as n
      where n.minute > clock_timestamp() - interval '25 hours'
      group by 1, 2, 3, 4
      on conflict on constraint event_minutes_are_unique do update
      set events = c.events + excluded.events, last_at = greatest(c.last_at, excluded.last_at)
    )
    select coalesce(sum(n.events), 0) into found_count from counts as n;
    counted := counted + found_count;
    exit when last >= upper or counted >= max_count;
    early := '{}';
    first := last + 1;
    if found_count < max_count / 4 then
      width := width * 2;
    end if;
  end loop;
  if last >= upper then
    update postroad.consumers as c
    set seen = reader.upto, seen_at = reader.upto_at, upto = null, upto_at = null, at_xid = null, at_key = null, split_last = null,
      read_at = clock_timestamp(), acked_at = clock_timestamp()
    where c.consumer = reader.consumer;
  else
    update postroad.consumers as c
    set upto = reader.upto, upto_at = reader.upto_at, at_xid = last, at_key = all_of_it, split_last = null, read_at = clock_timestamp(), acked_at = clock_timestamp()
    where c.consumer = reader.consumer;
  end if;
  if counted = 0 and goes_on then                -- the rest of an interval that began long ago: what came since is in the next one
    return postroad.count_events(max_count);
  end if;
  return counted;
end;
$$;

--
-- Name: FUNCTION count_events(max_count integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.count_events(max_count integer) IS 'Counts the next events, at most max_count, into message_counters and event_minutes: as a consumer of the events like any other, its position and the counts in one
transaction, so that no crash makes them drift. Returns how many; 0 when there are none, or another process is at it.';

--
-- Name: create_api_key(text, text[], bigint, timestamp with time zone, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.create_api_key(name text, roles text[], tenant_id bigint DEFAULT NULL::bigint, expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone, requests_per_second integer DEFAULT NULL::integer, OUT key_id bigint, OUT key text) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  -- 256 bits of the strongest randomness that Postgres has, and in letters and digits alone: a key is selected by a double click.
  secret constant text := left(translate(encode(
    sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
    || sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64'), E'+/=\n', ''), 43);
begin
  if coalesce(btrim(name), '') = '' or length(name) > 100 then
    raise exception 'a key needs a name of up to 100 characters'
      using errcode = 'PR001', hint = 'Such as the service that will use it.';
  end if;
  if coalesce(cardinality(roles), 0) = 0 or not roles <@ '{sender,reader,admin,webhook}' then
    raise exception 'a key needs roles'
      using errcode = 'PR002', hint = 'Roles: sender, reader, admin, webhook.';
  end if;
  if expires_at <= clock_timestamp() then
    raise exception 'expires_at is in the past'
      using errcode = 'PR001';
  end if;
  if requests_per_second not between 1 and 1000000 then
    raise exception 'requests_per_second must be from 1 to 1000000'
      using errcode = 'PR001';
  end if;
  key := 'pr_live_' || secret || left(encode(sha256(convert_to('postroad' || secret, 'UTF8')), 'hex'), 6);
  insert into postroad.api_keys as k (tenant_id, expires_at, requests_per_second, created_by, name, prefix, hash, roles)
  values (tenant_id, expires_at, requests_per_second, coalesce(nullif(current_setting('postroad.caller', true), ''), session_user), btrim(name),
    left(key, 14), sha256(convert_to(key, 'UTF8')), array(select distinct r.role from unnest(roles) as r (role) order by r.role))
  returning k.key_id into key_id;
  perform postroad.audit('create_api_key', key_id::text, null, jsonb_build_object(
    'name', btrim(name), 'roles', roles, 'tenant_id', tenant_id, 'expires_at', expires_at, 'requests_per_second', requests_per_second));
end;
$$;

--
-- Name: FUNCTION create_api_key(name text, roles text[], tenant_id bigint, expires_at timestamp with time zone, requests_per_second integer, OUT key_id bigint, OUT key text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.create_api_key(name text, roles text[], tenant_id bigint, expires_at timestamp with time zone, requests_per_second integer, OUT key_id bigint, OUT key text) IS 'Makes a key of the HTTP API and returns it, this once: only its hash is kept. roles: sender, reader, admin, webhook. tenant_id: bound to that tenant, it sees nothing else.
expires_at: default never. requests_per_second: instead of the server''s limit. A key is pr_live_, 43 random letters and digits, and six digits that show a typing
error. Raises PR001 (name, expires_at, requests_per_second) and PR002 (roles).';

--
-- Name: create_partitions(integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.create_partitions(days_ahead integer DEFAULT 7) RETURNS integer
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
  moved bigint;
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
      if parent <> 'contents' then
        -- Rows come at the end and go with the day. What a vacuum finds free within would be filled later: by xid, the day could then be read as a whole only.
        execute format('alter table postroad.%I set (autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_threshold = 2147483647)', part);
      end if;
      if parent = 'delivery_events' then         -- not of the parent: days that were full when it came have none
        execute format('create index on postroad.%I (occurred_at) where event_type = ''unknown''', part);
      end if;
      execute format('comment on table postroad.%I is %L', part, 'One day of ' || parent || '.');
      -- What landed in the default partition moves to its day: the default is taken off, so that nothing comes in between, and put back.
      execute format('alter table postroad.%I detach partition postroad.%I', parent, fallback);
      execute format(
        'with moved as (delete from postroad.%I where %I >= %L and %2$I < %4$L returning *) insert into postroad.%5$I select * from moved',
        fallback, id_column, lower_bound, upper_bound, part);
      get diagnostics moved = row_count;
      execute format('alter table postroad.%I attach partition postroad.%I for values from (%L) to (%L)', parent, part, lower_bound, upper_bound);
      execute format('alter table postroad.%I attach partition postroad.%I default', parent, fallback);
      created := created + 1;
      if moved > 0 then
        return created;                          -- the locks are held as shortly as can be
      end if;
    end loop;
  end loop;
  return created;
end;
$_$;

--
-- Name: FUNCTION create_partitions(days_ahead integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.create_partitions(days_ahead integer) IS 'Makes the partitions of today and days_ahead days (UTC), and of past days of which the default partition caught something, where they are missing, and moves that into them: one day at most that has something to move, so that enqueues go on between two of them; call it again until it returns 0.
Returns how many it made.
Waits 100 ms for a lock at most, so that no enqueue waits longer for it: on lock_not_available, call it again.';

--
-- Name: created_at(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.created_at(id uuid) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select to_timestamp(('x0000' || left(id::text, 8) || substr(id::text, 10, 4))::bit(64)::bigint::double precision / 1000)
$$;

--
-- Name: FUNCTION created_at(id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.created_at(id uuid) IS 'When a UUIDv7 was made, to the millisecond.';

--
-- Name: day_of(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.day_of(message_id uuid) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select date '1970-01-01' + (('x0000' || left(message_id::text, 8) || substr(message_id::text, 10, 4))::bit(64)::bigint / 86400000)::integer
$$;

--
-- Name: FUNCTION day_of(message_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.day_of(message_id uuid) IS 'The day (UTC) of a UUIDv7: that of its partition.';

--
-- Name: dispatch_events(integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.dispatch_events(max_count integer DEFAULT 2000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    SET enable_seqscan TO 'off'
    SET max_parallel_workers_per_gather TO '0'
    SET "TimeZone" TO 'UTC'
    AS $_$
declare
  reader postroad.consumers;
  batch integer;
begin
  if not postroad.has_news('_webhooks') then
    return 0;                                    -- or no endpoint yet
  end if;
  perform from postroad.consumers as c where c.consumer = '_webhooks' for update skip locked;
  if not found then
    return 0;                                    -- another process is at it
  end if;
  if not exists (select from postroad.webhook_endpoints as e where e.disabled_at is null) then
    update postroad.consumers as c               -- nobody wants what happens now
    set seen = postroad.event_snapshot(), seen_at = clock_timestamp(), upto = null, upto_at = null, at_xid = null, at_key = null, batch_xid = null,
      batch_key = null, split_last = null
    where c.consumer = '_webhooks'
      and c.seen_at not between clock_timestamp() - interval '1 second' and clock_timestamp();
    return 0;
  end if;
  select b.* into reader from postroad.open_batch('_webhooks', max_count) as b;
  if reader.batch_xid is null then
    return 0;
  end if;
  with event as materialized (
    select i.xid, i.key, i.event_id, i.occurred_at, case when i.message_id is null then i.event_type else 'message.' || i.event_type end as event_type,
      i.message_id, i.subject, i.attempt, i.gateway, i.external_id, i.reason, i.bounce_type, i.detail
    from postroad.events_in(reader) as i
  ), posted as (
    insert into postroad.webhook_outbox (endpoint_id, webhook_id, event_type, payload)
    select p.endpoint_id, 'evt_' || p.endpoint_id || '_' || coalesce(e.event_id::text, replace(e.message_id::text, '-', '')), e.event_type,
      jsonb_build_object(
        'type', e.event_type,
        'timestamp', to_char(e.occurred_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'data', case
          when e.message_id is null then jsonb_strip_nulls(jsonb_build_object(
            'subject', e.subject,
            'detail', case when p.include_addresses then e.detail else e.detail - 'address' end))
          else jsonb_strip_nulls(jsonb_build_object(
            'message_id', e.message_id, 'channel', m.channel, 'message_type', m.message_type, 'tenant_id', m.tenant_id,
            'recipient_type', m.recipient_type, 'recipient_id', m.recipient_id, 'source_type', m.source_type, 'source_id', m.source_id,
            'attempt', e.attempt, 'gateway', e.gateway, 'external_id', e.external_id, 'reason', e.reason, 'bounce_type', e.bounce_type,
            'recipient', case when p.include_addresses then m.recipient end))
        end)::text
    from event as e
    left join lateral postroad.record_of(e.message_id) as m on true
    join postroad.webhook_endpoints as p
      on p.disabled_at is null
      and (e.event_type = any (p.event_types) or split_part(e.event_type, '.', 1) || '.*' = any (p.event_types))
      and (p.channels is null or e.message_id is null or m.channel = any (p.channels))
      and (p.tenant_id is null
        or p.tenant_id = case when e.message_id is not null then m.tenant_id when e.detail ->> 'tenant_id' ~ '^-?[0-9]{1,18}$' then (e.detail ->> 'tenant_id')::bigint end)
    order by e.xid, e.key, e.event_id nulls first
  )
  select count(*) into batch from event as e;
  perform postroad.close_batch(reader);
  return batch;
end;
$_$;

--
-- Name: FUNCTION dispatch_events(max_count integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.dispatch_events(max_count integer) IS 'Reads the next events, at most max_count, and puts one row into webhook_outbox for each endpoint that wants them, in one transaction. Returns how many events it read: call
it again until it is 0. Several processes may call it: one at a time works.';

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
  part text;
  bound uuid;
  upper_bound uuid;
  dropped integer := 0;
begin
  perform postroad.need_read_committed();        -- what waits by now is kept, not what waited once
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
      select unnest(q.message_id || q.more_ids) from postroad.message_queue as q where q.message_id >= bound and q.message_id < upper_bound
      union all
      select u.id from postroad.leases as l, unnest(l.message_ids) as u (id) where u.id >= bound and u.id < upper_bound
    )
      and m.message_id >= bound
      and m.message_id < upper_bound
    on conflict do nothing;
    execute format('drop table postroad.%I', 'messages_' || day);
    -- Their events stay with them: what a lease has an event of is not sent again.
    part := 'delivery_events_' || day;
    if to_regclass('postroad.' || part) is not null then
      execute format('alter table postroad.delivery_events detach partition postroad.%I', part);
      execute format(                            -- from the few that are kept to theirs, as above
        'insert into postroad.delivery_events
         select e.*
         from postroad.messages_kept as k, lateral (select x.* from postroad.%I as x where x.message_id = k.message_id offset 0) as e
         where k.message_id >= %L and k.message_id < %L',
        part, bound, upper_bound);
      execute format('drop table postroad.%I', part);
    end if;
    -- Contents stay a day longer: a bulk send that began before midnight has messages of the day after.
    insert into postroad.contents_kept
    select c.*
    from postroad.contents as c
    where c.content_id in (select k.content_id from postroad.messages_kept as k)
      and c.content_id < bound
    on conflict do nothing;
    for part in
      select c.relname
      from pg_class as c
      where c.relnamespace = 'postroad'::regnamespace
        and c.relname ~ '^contents_[0-9]{8}$'
        and right(c.relname, 8) < day
    loop
      execute format('drop table postroad.%I', part);
    end loop;
    delete from postroad.bulk_transactions as t where t.batch_id < bound;
    dropped := dropped + 1;
    exit;                                        -- one day a call: the locks are held as shortly as can be
  end loop;
  return dropped;
end;
$_$;

--
-- Name: FUNCTION drop_partitions(retention interval); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.drop_partitions(retention interval) IS 'Drops the oldest day of messages and events that is past retention (at least a day), and the contents of the days before it; what still waits is copied to messages_kept and contents_kept first, its events to late_events.
Returns how many days it dropped, at most one. Waits 100 ms for a lock at most: on lock_not_available, call it again. Raises PR001 when retention is under a day, and in a transaction that is not read committed.';

--
-- Name: emit_system_event(text, text, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.emit_system_event(kind text, subject text, detail jsonb DEFAULT NULL::jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $_$
begin
  if (kind ~ '^[a-z][a-z0-9_]{0,62}$') is not true then
    raise exception 'a kind of system event is a word of a-z, 0-9 and _, got %', coalesce(quote_literal(kind), 'null')
      using errcode = 'PR001';
  end if;
  insert into postroad.system_events (kind, subject, detail)
  values (kind, subject, detail);
end;
$_$;

--
-- Name: FUNCTION emit_system_event(kind text, subject text, detail jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.emit_system_event(kind text, subject text, detail jsonb) IS 'Appends a system event, in the caller''s transaction: consumers that asked for them read it, and endpoints whose filter has system.* or system.<kind> get it.
kind: gateway_health_changed (subject: the gateway), suppression_added (subject: the channel), rate_limit_exceeded (subject: the limit), endpoint_disabled (subject: its id), or another
word. detail: an address may stand in its key address only, which is shown to those alone who may see addresses; a tenant in tenant_id, by which endpoints of one
tenant choose. Raises PR001 when kind is no such word.';

--
-- Name: endpoint_schema(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.endpoint_schema() RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $_$
  select $q${
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "url": {"type": "string", "minLength": 1, "maxLength": 2048},
      "event_types": {"type": ["array", "null"], "minItems": 1, "maxItems": 50, "description": "message.* by default.",
        "items": {"type": "string", "pattern": "^(message\\.(\\*|queued|sent|deferred|delivered|opened|clicked|converted|bounced|complained|unsubscribed|failed|expired|cancelled|suppressed|unknown|received)|system\\.(\\*|[a-z][a-z0-9_]*))$"}},
      "channels": {"type": ["array", "null"], "minItems": 1, "maxItems": 6,
        "items": {"type": "string", "enum": ["email", "sms", "push", "voice", "in_app", "webhook"]}},
      "tenant_id": {"type": ["integer", "null"], "minimum": -9223372036854775808, "maximum": 9223372036854775807, "description": "Events of this tenant only."},
      "include_addresses": {"type": ["boolean", "null"]},
      "description": {"type": ["string", "null"], "maxLength": 1000}
    }
  }$q$::jsonb
$_$;

--
-- Name: FUNCTION endpoint_schema(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.endpoint_schema() IS 'What POST /webhook-endpoints takes, as JSON Schema; postroad.add_webhook_endpoint says more of each field.';

--
-- Name: enqueue(text, text, text, text, text, text, jsonb, text, text, text, timestamp with time zone, timestamp with time zone, text, text, bigint, text, bigint, bigint, text, text, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.enqueue(channel text, recipient text, subject text DEFAULT NULL::text, body text DEFAULT NULL::text, html text DEFAULT NULL::text, template text DEFAULT NULL::text, data jsonb DEFAULT NULL::jsonb, locale text DEFAULT NULL::text, message_type text DEFAULT 'transactional'::text, priority text DEFAULT NULL::text, scheduled_for timestamp with time zone DEFAULT NULL::timestamp with time zone, expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone, idempotency_key text DEFAULT NULL::text, recipient_type text DEFAULT NULL::text, recipient_id bigint DEFAULT NULL::bigint, source_type text DEFAULT NULL::text, source_id bigint DEFAULT NULL::bigint, tenant_id bigint DEFAULT NULL::bigint, ip_pool text DEFAULT NULL::text, gateway text DEFAULT NULL::text, options jsonb DEFAULT NULL::jsonb, OUT message_id uuid, OUT status text, OUT reason text) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $_$
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
ip_pool: instead of the configured one. gateway: tried first, the channel''s configured ones after it. options: from, reply_to, cc, bcc, headers, tags, attachments, on_unknown, max_attempts, traceparent
(a W3C trace context, which calls of gateways and logs carry on), tracking, push, sms, voice.

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
      from (select jsonb_array_elements(recipients) as item offset 0) as e,
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

  -- Slices of so many pages that one holds some 1 MiB, out of line values included: neither arrays nor sorts grow with the table, and their memory stays the process's own from one slice to the next (at 4 MiB it was asked for and given back each time: a fifth slower).
  slice_pages := greatest(least(1024 * 1024 / greatest(parts.bytes / greatest(parts.all_pages, 1), 1), 256) / greatest(parts.count, 1), 1);
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
      when channel = 'email' then $e$lower(btrim(t.address::text, E' \t\r\n') collate "C")$e$
      when channel in ('sms', 'voice') then $e$regexp_replace(regexp_replace(t.address::text, '[ ().-]', '', 'g'), '^00', '+')$e$
      else 'btrim(t.address::text)'
    end || ', 0)',
    recipients,
    case
      when columns ->> 'id' in ('smallint', 'integer', 'bigint') or not columns ? 'id' then 'true'
      else 'postroad.is_bigint(t.id::text)'
    end || case
      when columns ->> 'data' = 'jsonb' or not columns ? 'data' then ''
      else ' and postroad.is_jsonb(t.data::text)'
    end,
    case
      when not columns ? 'id' then 'null::bigint'
      when columns ->> 'id' in ('smallint', 'integer', 'bigint') then 't.id::bigint'
      else 'case when postroad.is_bigint(t.id::text) then t.id::text::bigint end'
    end,
    case when columns ? 'type' then 't.type::text' else 'null::text' end,
    case when columns ? 'locale' then 't.locale::text' else 'null::text' end,
    case
      when not columns ? 'data' then 'null::jsonb'
      when columns ->> 'data' = 'jsonb' then 't.data'
      else 'case when postroad.is_jsonb(t.data::text) then t.data::text::jsonb end'
    end)
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
A row whose data is text and no JSON is invalid. It is read in slices of some 1 MiB, so that memory does not grow with it. Raises PR001 when it is not a table or has no column address, and what enqueue raises.';

--
-- Name: enqueue_rows(uuid, text, text[], bigint[], text[], text[], jsonb[], text, smallint, timestamp with time zone, timestamp with time zone, text, bigint, bigint, text, text, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.enqueue_rows(batch_id uuid, channel text, addresses text[], ids bigint[], types text[], locales text[], data jsonb[], message_type text, priority smallint, scheduled_for timestamp with time zone, expires_at timestamp with time zone, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, locale text, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET work_mem TO '64MB'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  -- The ids of a call count up behind what all of them share, so that they lie together; what follows the count nobody can guess who knows another
  -- one of them: whoever knows the id of a message is taken for one who has it (RFC 9562, section 6.2, method 2).
  prefix constant text := left(postroad.uuid_v7()::text, 24);
  secret constant text := gen_random_uuid();
  noise bytea;
  message_ids uuid[];
  average_kb constant smallint := postroad.size_kb(pg_column_size(data)::bigint / greatest(cardinality(data), 1));
  later constant boolean := coalesce(scheduled_for > clock_timestamp(), false);
  normalized text[];
  keys text[];
  found_addresses text[];
  found_reasons text[];
  reasons text[];
  valid integer;
  distinct_valid integer;
  waiting uuid[];
begin
  if not isfinite(scheduled_for) or not isfinite(expires_at) then
    raise exception 'scheduled_for and expires_at must be finite'
      using errcode = 'PR001', hint = 'Leave them out for now and for never; begin_bulk checks them.';
  end if;
  select array_agg(n.address), array_agg(case when enqueue_rows.channel = 'email' then lower(n.address) else n.address end), count(n.address)
  into normalized, keys, valid
  from (
    select postroad.normalize_recipient(enqueue_rows.channel, u.address) collate "C" as address
    from (select unnest(addresses) as address) as u
    offset 0                                     -- normalised once
  ) as n;
  -- Not beside the arrays: from Postgres 16 on, what must be sorted for one aggregate comes to all of them in that order.
  select count(*) into distinct_valid
  from (select distinct unnest(normalized) as address) as u
  where u.address is not null;
  -- One look at the list for all of them, an index probe each, however long it is; and only what is found costs more.
  suppressed := 0;
  select array_agg(f.address), array_agg(f.reason) into found_addresses, found_reasons
  from (
    select distinct on (s.address) s.address, s.reason
    from postroad.suppression_list as s
    where s.address = any (keys)
      and (s.channel is null or s.channel = enqueue_rows.channel)
      and (s.tenant_id is null or s.tenant_id = enqueue_rows.tenant_id)
      and (s.expires_at is null or s.expires_at > clock_timestamp())
  ) as f;
  if found_addresses is not null then
    select array_agg(f.reason order by k.nth), count(f.reason) into reasons, suppressed
    from unnest(keys) with ordinality as k (address, nth)
    left join unnest(found_addresses, found_reasons) as f (address, reason) using (address);
  end if;
  invalid := cardinality(addresses) - valid;
  duplicate := valid - distinct_valid;

  if duplicate > 0 then                          -- the first of those with the same address stays
    select array_agg(case when u.nth = u.first_nth then u.address end order by u.nth),
      array_agg(case when u.nth = u.first_nth then u.reason end order by u.nth),
      count(u.reason) filter (where u.nth = u.first_nth)
    into normalized, reasons, suppressed
    from (
      select x.address, x.reason, x.nth, min(x.nth) over (partition by x.address) as first_nth
      from (select unnest(normalized) as address, unnest(reasons) as reason, generate_subscripts(normalized, 1) as nth) as x
    ) as u;
  end if;

  -- 32 bytes for each ten: a hash for each would cost twice as much as the rest of its id.
  select string_agg(sha256(convert_to(secret || x, 'UTF8')), '') into noise
  from generate_series(0, cardinality(normalized) / 10) as x;
  message_ids := array(                          -- from 0: the first five digits of the count are one row of the queue, see queue_row_of
    select (prefix || lpad(to_hex(n & 16777215), 6, '0') || encode(substr(noise, 3 * n + 1, 3), 'hex'))::uuid
    from generate_series(0, cardinality(normalized) - 1) as n
  );

  insert into postroad.messages (
    message_id, tenant_id, recipient_id, source_id, scheduled_for, expires_at, content_id, batch_id, priority,
    channel, message_type, recipient, recipient_type, source_type, ip_pool, gateway, locale, data)
  select u.message_id, enqueue_rows.tenant_id, u.id, enqueue_rows.source_id,
    enqueue_rows.scheduled_for, enqueue_rows.expires_at, enqueue_rows.batch_id, enqueue_rows.batch_id, enqueue_rows.priority,
    enqueue_rows.channel, enqueue_rows.message_type, u.address, u.type, enqueue_rows.source_type, enqueue_rows.ip_pool,
    enqueue_rows.gateway, coalesce(u.locale, enqueue_rows.locale), u.data
  from (                                         -- in the select list arrays are read as they are; in FROM they would be written out and read again
    select unnest(message_ids) as message_id, unnest(normalized) as address, unnest(ids) as id, unnest(types) as type, unnest(locales) as locale,
      unnest(enqueue_rows.data) as data
  ) as u
  where u.address is not null;

  insert into postroad.bulk_transactions (batch_id)
  values (enqueue_rows.batch_id)
  on conflict do nothing;

  if suppressed > 0 then
    insert into postroad.delivery_events (message_id, event_type, reason)
    select u.message_id, 'suppressed', u.reason
    from (select unnest(message_ids) as message_id, unnest(reasons) as reason) as u
    where u.reason is not null;
  end if;

  waiting := array(
    select case when u.address is not null and u.reason is null then u.message_id end
    from (select unnest(message_ids) as message_id, unnest(normalized) as address, unnest(reasons) as reason) as u
  );
  queued := distinct_valid - suppressed;
  if later then
    insert into postroad.scheduled (message_id, due_at, priority)
    select w.id, enqueue_rows.scheduled_for, enqueue_rows.priority
    from (select unnest(waiting) as id) as w
    where w.id is not null;
  else
    insert into postroad.message_queue (seq, message_id, priority, size_kb, more_ids)
    select w.places[least(r.nth + 15, cardinality(w.places))], r.ids[1], enqueue_rows.priority, average_kb, nullif(r.ids[2:], '{}')
    from (                                       -- in one piece: of a variable, each slice would write all of it out
      select array(select unnest(waiting)) as ids,
        array(select postroad.next_seq(enqueue_rows.priority) from generate_series(1, cardinality(waiting))) as places   -- one for each
      offset 0
    ) as w,
    lateral (
      select n as nth, array_remove(w.ids[n:n + 15], null) as ids
      from generate_series(1, cardinality(waiting), 16) as n
      offset 0
    ) as r
    where r.ids <> '{}';
  end if;

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
-- Name: error_at(text, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.error_at(pointer text, detail text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $$
  select jsonb_build_array(jsonb_build_object('pointer', pointer, 'detail', detail))
$$;

--
-- Name: FUNCTION error_at(pointer text, detail text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.error_at(pointer text, detail text) IS 'errors of postroad.problem, for one place in the body.';

--
-- Name: event_bounds(bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.event_bounds(xid bigint, OUT low uuid, OUT last uuid) RETURNS record
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    SET enable_indexscan TO 'off'
    SET jit TO 'off'
    SET max_parallel_workers_per_gather TO '0'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
begin
  with keys as materialized (
    select m.message_id as key from postroad.messages as m where m.xid = event_bounds.xid
    union all
    select e.message_id from postroad.delivery_events as e where e.xid = event_bounds.xid
    union all
    select postroad.event_key(s.event_id) from postroad.system_events as s where s.xid = event_bounds.xid
  )
  select (select k.key from keys as k order by k.key limit 1), (select k.key from keys as k order by k.key desc limit 1)
  into low, last;
end;
$$;

--
-- Name: FUNCTION event_bounds(xid bigint, OUT low uuid, OUT last uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.event_bounds(xid bigint, OUT low uuid, OUT last uuid) IS 'The lowest and the highest key of the events of a transaction.';

--
-- Name: event_key(bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.event_key(event_id bigint) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select lpad(to_hex(event_id), 32, '0')::uuid
$$;

--
-- Name: FUNCTION event_key(event_id bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.event_key(event_id bigint) IS 'The place of a system event within its transaction: before the messages, whose ids are UUIDv7.';

--
-- Name: event_keys(bigint, uuid, uuid, uuid, text[], integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.event_keys(xid bigint, low uuid, after uuid, last uuid, event_types text[], max_count integer) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET max_parallel_workers_per_gather TO '0'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
begin
  return query
  select k.key
  from (
    (select m.message_id as key
    from postroad.messages as m
    where m.message_id >= low and m.message_id > after and m.message_id <= last
      and m.xid = event_keys.xid
      and postroad.wants_message(event_types, 'queued')
    order by m.message_id
    limit max_count)
    union all
    (select e.message_id
    from postroad.delivery_events as e
    where e.message_id >= low and e.message_id > after and e.message_id <= last
      and e.xid = event_keys.xid
      and postroad.wants_message(event_types, e.event_type)
    order by e.message_id
    limit max_count)
    union all
    (select postroad.event_key(s.event_id)
    from postroad.system_events as s
    where s.xid = event_keys.xid
      and postroad.event_key(s.event_id) > after
      and postroad.event_key(s.event_id) <= last
      and postroad.wants_system(event_types, s.kind)
    order by 1
    limit max_count)
  ) as k
  order by k.key
  limit max_count;
end;
$$;

--
-- Name: FUNCTION event_keys(xid bigint, low uuid, after uuid, last uuid, event_types text[], max_count integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.event_keys(xid bigint, low uuid, after uuid, last uuid, event_types text[], max_count integer) IS 'The next keys of the events of one transaction after a key, between the lowest and the last one that it has.';

--
-- Name: event_sizes(txid_snapshot, txid_snapshot, bigint[], bigint, bigint, text[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.event_sizes(seen txid_snapshot, upto txid_snapshot, early bigint[], first bigint, last bigint, event_types text[]) RETURNS TABLE(xid bigint, events bigint)
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET max_parallel_workers_per_gather TO '0'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
begin
  return query
  select x.xid, count(*)
  from (
    select m.xid
    from postroad.messages as m
    where (m.xid between first and last or m.xid = any (early))
      and not txid_visible_in_snapshot(m.xid, seen) and txid_visible_in_snapshot(m.xid, upto)
      and postroad.wants_message(event_types, 'queued')
    union all
    select e.xid
    from postroad.delivery_events as e
    where (e.xid between first and last or e.xid = any (early))
      and not txid_visible_in_snapshot(e.xid, seen) and txid_visible_in_snapshot(e.xid, upto)
      and postroad.wants_message(event_types, e.event_type)
    union all
    select s.xid
    from postroad.system_events as s
    where (s.xid between first and last or s.xid = any (early))
      and not txid_visible_in_snapshot(s.xid, seen) and txid_visible_in_snapshot(s.xid, upto)
      and postroad.wants_system(event_types, s.kind)
  ) as x
  group by x.xid;
end;
$$;

--
-- Name: FUNCTION event_sizes(seen txid_snapshot, upto txid_snapshot, early bigint[], first bigint, last bigint, event_types text[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.event_sizes(seen txid_snapshot, upto txid_snapshot, early bigint[], first bigint, last bigint, event_types text[]) IS 'How many events each transaction wrote, of those in early and from first to last that upto sees and seen does not.';

--
-- Name: event_snapshot(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.event_snapshot() RETURNS txid_snapshot
    LANGUAGE plpgsql
    AS $$
declare
  own constant bigint := txid_current_if_assigned();
  snapshot constant txid_snapshot := txid_current_snapshot();
begin
  -- The transaction that asks is not in its own snapshot's list, but it may write more: it must not count as seen.
  if own < txid_snapshot_xmax(snapshot) then
    return (
      select least(own, txid_snapshot_xmin(snapshot)) || ':' || txid_snapshot_xmax(snapshot) || ':' || string_agg(x.id::text, ',' order by x.id)
      from (select txid_snapshot_xip(snapshot) union select own) as x (id)
    )::txid_snapshot;
  end if;
  return snapshot;
end;
$$;

--
-- Name: FUNCTION event_snapshot(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.event_snapshot() IS 'What can be seen now, without what the asking transaction itself wrote: where an interval of events may end.';

--
-- Name: events_in(postroad.consumers); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.events_in(reader postroad.consumers) RETURNS TABLE(xid bigint, key uuid, event_id bigint, occurred_at timestamp with time zone, event_type text, message_id uuid, subject text, attempt smallint, gateway text, external_id text, reason text, bounce_type text, detail jsonb, channel text, message_type text, source_type text, tenant_id bigint)
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET max_parallel_workers_per_gather TO '0'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  nil constant uuid := '00000000-0000-0000-0000-000000000000';
  seen constant txid_snapshot := reader.seen;
  upto constant txid_snapshot := reader.upto;
  types constant text[] := reader.event_types;
  at_xid constant bigint := coalesce(reader.at_xid, 0);
  at_key constant uuid := coalesce(reader.at_key, nil);
  end_xid constant bigint := reader.batch_xid;
  end_key constant uuid := reader.batch_key;
  early bigint[];
  first bigint;
begin
  if at_xid = end_xid then                       -- a part of a large transaction: by its key
    return query
    select p.* from postroad.events_of(end_xid, at_key, end_key, types) as p;
    return;
  end if;
  select s.early, s.first into early, first from postroad.interval_start(seen, upto) as s;
  early := array(select u.id from unnest(early) as u (id) where u.id between at_xid and end_xid);
  first := greatest(first, at_xid);
  return query
  select m.xid, m.message_id, null::bigint, postroad.created_at(m.message_id), 'queued'::text, m.message_id, null::text,
    null::smallint, m.gateway, null::text, null::text, null::text, null::jsonb, m.channel, m.message_type, m.source_type, m.tenant_id
  from postroad.messages as m
  where (m.xid between first and end_xid or m.xid = any (early))
    and not txid_visible_in_snapshot(m.xid, seen) and txid_visible_in_snapshot(m.xid, upto)
    and (m.xid, m.message_id) > (at_xid, at_key) and (m.xid, m.message_id) <= (end_xid, end_key)
    and postroad.wants_message(types, 'queued')
  union all
  select e.xid, e.message_id, e.event_id, e.occurred_at, e.event_type, e.message_id, null,
    e.attempt, e.gateway, e.external_id, e.reason, e.bounce_type, e.detail, null, null, null, null
  from postroad.delivery_events as e
  where (e.xid between first and end_xid or e.xid = any (early))
    and not txid_visible_in_snapshot(e.xid, seen) and txid_visible_in_snapshot(e.xid, upto)
    and (e.xid, e.message_id) > (at_xid, at_key) and (e.xid, e.message_id) <= (end_xid, end_key)
    and postroad.wants_message(types, e.event_type)
  union all
  select s.xid, postroad.event_key(s.event_id), s.event_id, s.occurred_at, 'system.' || s.kind, null, s.subject,
    null, null, null, null, null, s.detail, null, null, null, null
  from postroad.system_events as s
  where (s.xid between first and end_xid or s.xid = any (early))
    and not txid_visible_in_snapshot(s.xid, seen) and txid_visible_in_snapshot(s.xid, upto)
    and (s.xid, postroad.event_key(s.event_id)) > (at_xid, at_key) and (s.xid, postroad.event_key(s.event_id)) <= (end_xid, end_key)
    and postroad.wants_system(types, s.kind);
end;
$$;

--
-- Name: FUNCTION events_in(reader postroad.consumers); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.events_in(reader postroad.consumers) IS 'The events of the batch that a reader has open, in no order: those after its position, up to the end of the batch. channel and what follows: for queued only, whose row has them.';

--
-- Name: events_of(bigint, uuid, uuid, text[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.events_of(xid bigint, after uuid, last uuid, event_types text[]) RETURNS TABLE(its_xid bigint, key uuid, event_id bigint, occurred_at timestamp with time zone, event_type text, message_id uuid, subject text, attempt smallint, gateway text, external_id text, reason text, bounce_type text, detail jsonb, channel text, message_type text, source_type text, tenant_id bigint)
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET max_parallel_workers_per_gather TO '0'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
begin
  return query
  select m.xid, m.message_id, null::bigint, postroad.created_at(m.message_id), 'queued'::text, m.message_id, null::text,
    null::smallint, m.gateway, null::text, null::text, null::text, null::jsonb, m.channel, m.message_type, m.source_type, m.tenant_id
  from postroad.messages as m
  where m.message_id > after and m.message_id <= last
    and m.xid = events_of.xid
    and postroad.wants_message(event_types, 'queued')
  union all
  select e.xid, e.message_id, e.event_id, e.occurred_at, e.event_type, e.message_id, null,
    e.attempt, e.gateway, e.external_id, e.reason, e.bounce_type, e.detail, null, null, null, null
  from postroad.delivery_events as e
  where e.message_id > after and e.message_id <= last
    and e.xid = events_of.xid
    and postroad.wants_message(event_types, e.event_type)
  union all
  select s.xid, postroad.event_key(s.event_id), s.event_id, s.occurred_at, 'system.' || s.kind, null, s.subject,
    null, null, null, null, null, s.detail, null, null, null, null
  from postroad.system_events as s
  where s.xid = events_of.xid
    and postroad.event_key(s.event_id) > after and postroad.event_key(s.event_id) <= last
    and postroad.wants_system(event_types, s.kind);
end;
$$;

--
-- Name: FUNCTION events_of(xid bigint, after uuid, last uuid, event_types text[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.events_of(xid bigint, after uuid, last uuid, event_types text[]) IS 'The events of one transaction between two keys.';

--
-- Name: explain(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.explain(message_id uuid) RETURNS TABLE(gate text, verdict text, reason text, until timestamp with time zone)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $_$
declare
  m postroad.messages;
  place record;
  known record;
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
    select * into known from postroad.status(explain.message_id);
    verdict := case when known.status in ('sent', 'delivered') then 'done' else 'stop' end;
    reason := concat_ws(': ', case when known.updated_at = known.created_at and last_event.event_id is null then 'no trace of it is left' else known.status end,
      nullif(known.reason, known.status));
    if known.status = 'unknown' and last_event.event_id is not null then
      reason := reason || '; it may have gone out: settle(message_id, ''sent'' | ''failed'' | ''resend'')';
    elsif known.status in ('failed', 'expired', 'cancelled', 'suppressed') and postroad.may_have_gone_out(m.message_id) then
      reason := reason || '; an earlier attempt may have gone out';
    end if;
    if last_event.event_type in ('deferred', 'opened', 'clicked', 'converted', 'complained', 'unsubscribed', 'received') then      -- since, which changes nothing about it
      reason := format('%s; last: %s', reason, concat_ws(': ', last_event.event_type, nullif(last_event.reason, last_event.event_type)));
    end if;
    return next;
    return;
  end if;
  verdict := 'pass';
  reason := case
    when last_event.event_id is null then 'no attempt yet'
    else format('%s: %s%s%s', coalesce('attempt ' || last_event.attempt, 'last, not counted as an attempt'), last_event.event_type, coalesce(', ' || last_event.reason, ''),
      coalesce(' by ' || last_event.gateway, ''))
  end;
  return next;

  gate := 'expiry';
  verdict := case when m.expires_at <= clock_timestamp() then 'stop' else 'pass' end;
  reason := case when m.expires_at is null then 'does not expire' when m.expires_at <= clock_timestamp() then 'expired' else 'expires' end;
  until := m.expires_at;
  return next;

  gate := 'suppression';
  select s.* into suppression from postroad.suppression_of(m.channel, m.recipient, m.tenant_id) as s;
  verdict := case when suppression.address is null then 'pass' else 'stop' end;
  reason := case when suppression.address is null then 'not suppressed' else format('suppressed since %s: %s', suppression.created_at, suppression.reason) end;
  until := suppression.expires_at;
  return next;

  gate := 'pause';
  select x.* into pause
  from postroad.pauses as x
  where x.pause_id = place.pause_id
    or x.scope = 'priority' and x.key = 'P' || m.priority
    or x.pause_id = postroad.pause_of(m.channel, m.source_type, m.source_id, m.tenant_id, m.recipient)
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
    reason := format('%s P1 messages can be sent now; P2 and P3 wait while those of P1 are 10000 or more (a setting of the workers)', ahead);
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
      'select coalesce(sum(1 + coalesce(cardinality(x.more_ids), 0)), 0)
       from (select q.more_ids from postroad.message_queue_p%s as q where q.seq >= $1 and q.seq < $2 limit 100000) as x', m.priority)
    into ahead using queue_floor, place.seq;
    ahead := ahead + coalesce((select array_position(q.more_ids, m.message_id) from postroad.queue_row_of(m.message_id) as q), 0);
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
-- Name: export_suppressions(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.export_suppressions() RETURNS TABLE(address text, channel text, tenant_id bigint, reason text, expires_at timestamp with time zone, source text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return query
  select s.address, s.channel, s.tenant_id, s.reason, s.expires_at, s.source
  from postroad.suppression_list as s
  where s.expires_at is null or s.expires_at > clock_timestamp()
  order by s.address, s.channel, s.tenant_id;
end;
$$;

--
-- Name: FUNCTION export_suppressions(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.export_suppressions() IS 'The suppression list as it holds now, as import_suppressions takes it. In psql: \copy (select * from postroad.export_suppressions()) to ''list.csv'' csv header';

--
-- Name: fetch_contents(uuid[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.fetch_contents(content_ids uuid[]) RETURNS TABLE(content_id uuid, subject text, body text, html text, data jsonb, options jsonb)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
begin
  return query
  select c.content_id, c.subject, c.body, c.html, c.data,
    case when c.options ?| '{cc,bcc}' then postroad.without_suppressed_copies(c.options, null) else c.options end
  from unnest(content_ids) as u (id)
  join postroad.contents as c on c.content_id = u.id
  union all
  select k.content_id, k.subject, k.body, k.html, k.data,
    case when k.options ?| '{cc,bcc}' then postroad.without_suppressed_copies(k.options, null) else k.options end
  from unnest(content_ids) as u (id)
  join postroad.contents_kept as k on k.content_id = u.id
  where not exists (select from postroad.contents as c where c.content_id = k.content_id);
end;
$$;

--
-- Name: FUNCTION fetch_contents(content_ids uuid[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.fetch_contents(content_ids uuid[]) IS 'The contents with these ids, without copies (cc, bcc) to addresses that are suppressed for every tenant; one that is gone has no row.';

--
-- Name: figures(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.figures() RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
  return jsonb_build_object(
    'at', extract(epoch from clock_timestamp()),
    'queues', (select jsonb_agg(to_jsonb(q) order by q.priority) from postroad.queue_figures() as q),
    'gateways', (select coalesce(jsonb_agg(to_jsonb(g)), '[]') from postroad.gateway_figures() as g),
    'pauses', (
      select coalesce(jsonb_agg(jsonb_build_object('scope', p.scope, 'key', p.key, 'reason', p.reason, 'paused_at', p.paused_at, 'paused_by', p.paused_by)
        order by p.scope, p.key), '[]')
      from postroad.pauses as p
    ),
    'webhooks', (
      select coalesce(jsonb_agg(jsonb_build_object('gateway', w.gateway, 'stored', w.stored, 'parsed', w.parsed, 'errors', w.errors, 'events', w.events)), '[]')
      from postroad.webhook_counts as w
    ),
    'enqueued', (
      select coalesce(jsonb_object_agg(e.channel, e.count), '{}')
      from (
        select c.channel, sum(c.count) as count
        from postroad.message_counters as c
        where c.day = (clock_timestamp() at time zone 'UTC')::date
          and c.event_type = 'queued'
        group by 1
      ) as e
    ),
    'workers', (select count(*) from postroad.worker_sessions as w where w.heartbeat_at > clock_timestamp() - interval '15 seconds'),
    'oldest_lease_seconds', (select coalesce(greatest(extract(epoch from clock_timestamp() - min(l.leased_at)), 0), 0) from postroad.leases as l),
    'partitions_ahead', (
      select count(*)
      from pg_class as c
      where c.relnamespace = 'postroad'::regnamespace
        and c.relname ~ '^messages_[0-9]{8}$'
        and right(c.relname, 8) > to_char(clock_timestamp() at time zone 'UTC', 'YYYYMMDD')
    ),
    'notify_usage', pg_notification_queue_usage()
  );
end;
$_$;

--
-- Name: FUNCTION figures(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.figures() IS 'What monitors ask for, in one call that reads no table as a whole: see queue_figures and gateway_figures; pauses, messages enqueued today (UTC) by channel, workers, the oldest lease, days that have partitions, the queue of notifications.';

--
-- Name: find_messages(text, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.find_messages(address text, max_count integer DEFAULT 20) RETURNS TABLE(message_id uuid, created_at timestamp with time zone, channel text, priority text, recipient text, looked_back_to timestamp with time zone)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
declare
  spellings text[];
  first_id uuid;
begin
  spellings := array(
    select distinct lower(x.spelling)
    from unnest('{email,sms,push,voice,in_app,webhook}'::text[]) as c (channel), lateral (values (address), (postroad.normalize_recipient(c.channel, address))) as x (spelling)
    where x.spelling is not null
  );
  -- An index on recipients would cost each enqueue; the newest messages are asked for, most often.
  first_id := (select m.message_id from postroad.messages as m order by m.message_id desc offset 100000 limit 1);
  looked_back_to := coalesce(postroad.created_at(first_id), '-infinity');
  return query
  select m.message_id, postroad.created_at(m.message_id), m.channel, 'P' || m.priority, m.recipient, find_messages.looked_back_to
  from postroad.messages as m
  where m.message_id > coalesce(first_id, '00000000-0000-0000-0000-000000000000')
    and lower(m.recipient) = any (spellings)
  order by m.message_id desc
  limit max_count;
  if not found then
    return next;                                 -- nothing but how far it looked
  end if;
end;
$$;

--
-- Name: FUNCTION find_messages(address text, max_count integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.find_messages(address text, max_count integer) IS 'The newest messages to an address, in upper or lower case, of the newest 100,000 messages of all: there is no index on addresses, which would cost each enqueue. looked_back_to says how far that goes back;
-infinity: all messages were looked at. When there is none, one row has nothing else.';

--
-- Name: finish_webhooks(text, bigint[], jsonb, bigint[], text[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.finish_webhooks(gateway text, batch_ids bigint[], events jsonb, unread_ids bigint[], unread_why text[]) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  ended record;
  recorded integer := 0;
begin
  perform
  from postroad.webhook_batches as b
  where b.batch_id = any (batch_ids)
  order by b.batch_id
  for update;
  with deleted as (
    delete from postroad.webhook_batches as b
    where b.batch_id = any (batch_ids)
      and b.gateway = finish_webhooks.gateway
    returning b.inbox_ids, b.is_replay
  )
  select count(*) as batches,
    coalesce(sum(cardinality(d.inbox_ids)), 0) as requests,
    coalesce(sum(cardinality(d.inbox_ids)) filter (where not d.is_replay), 0) as new_requests
  into ended
  from deleted as d;
  if ended.batches <> cardinality(batch_ids) then
    if ended.batches > 0 then
      raise exception 'some of these batches were read by somebody else'
        using errcode = 'serialization_failure';   -- undone: those that are left are taken again
    end if;
    return false;
  end if;
  if jsonb_array_length(events) > 0 then
    recorded := postroad.record_events(gateway, events);
  end if;
  insert into postroad.webhook_errors (inbox_id, error)
  select u.inbox_id, u.error
  from unnest(unread_ids, unread_why) as u (inbox_id, error)
  on conflict on constraint webhook_errors_pkey do update
  set error = excluded.error, failed_at = excluded.failed_at;
  insert into postroad.webhook_counts as c (gateway, stored, parsed, errors, events, last_at)
  values (
    gateway, ended.new_requests, ended.requests - cardinality(unread_ids), cardinality(unread_ids), recorded, clock_timestamp()
  )
  on conflict on constraint webhook_counts_pkey do update
  set stored = c.stored + excluded.stored,
    parsed = c.parsed + excluded.parsed,
    errors = c.errors + excluded.errors,
    events = c.events + excluded.events,
    last_at = excluded.last_at;
  return true;
end;
$$;

--
-- Name: FUNCTION finish_webhooks(gateway text, batch_ids bigint[], events jsonb, unread_ids bigint[], unread_why text[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.finish_webhooks(gateway text, batch_ids bigint[], events jsonb, unread_ids bigint[], unread_why text[]) IS 'Records the events of stored requests and ends their batches, in one transaction: what was read is read once. Requests that could not be read are given with the reason.
False, and nothing recorded, when others ended these batches; serialization_failure when they ended some of them.';

--
-- Name: fold_domain(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.fold_domain(domain text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select lower(translate(normalize(domain, nfkc),
    'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĴĶĹĻĽŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽΆΈΉΊΌΎΏΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ',
    'àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĵķĺļľłńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżžάέήίόύώαβγδεζηθικλμνξοπρστυφχψωϊϋѐёђѓєѕіїјљњћќѝўџабвгдежзийклмнопрстуфхцчшщъыьэюя') collate "C")
$$;

--
-- Name: FUNCTION fold_domain(domain text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.fold_domain(domain text) IS 'A domain with the letters that a lookup takes for others (UTS 46) as those others: NFKC, and capitals small whatever the locale of the database.';

--
-- Name: follow_bounces(uuid[], uuid[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.follow_bounces(message_ids uuid[], lease_ids uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET lock_timeout TO '200ms'
    AS $$
begin
  perform postroad.follow_events(message_ids, null, lease_ids);
exception
  when others then
    raise warning 'the recipients of % bounces are not suppressed: %', cardinality(message_ids), sqlstate
      using hint = 'What they bounced with is recorded; the next bounce of each counts again.';
end;
$$;

--
-- Name: FUNCTION follow_bounces(message_ids uuid[], lease_ids uuid[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.follow_bounces(message_ids uuid[], lease_ids uuid[]) IS 'What follows from the bounces that a completion records, if that can be done at once: outcomes wait for nobody who holds an entry of the suppression list in an open
transaction, and nothing about a recipient undoes them. Else a warning in the server''s log has the SQLSTATE.';

--
-- Name: follow_clock(interval); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.follow_clock(back interval) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  messages integer;
  deliveries integer;
begin
  if back < '0' then
    raise exception 'back must not be negative, got %', back
      using errcode = 'PR001';
  end if;
  -- What a caller of enqueue set is a time of day, and stays; retries, snoozes and what a rescue set apart are so long after something.
  update postroad.scheduled as s
  set due_at = s.due_at - back
  where s.due_at > clock_timestamp()
    and s.due_at < clock_timestamp() + back + interval '1 day'
    and s.due_at is distinct from (select r.scheduled_for from postroad.record_of(s.message_id) as r);
  get diagnostics messages = row_count;
  update postroad.webhook_outbox as o
  set due_at = o.due_at - back
  where o.due_at > clock_timestamp();
  get diagnostics deliveries = row_count;
  return messages + deliveries;
end;
$$;

--
-- Name: FUNCTION follow_clock(back interval); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.follow_clock(back interval) IS 'The server''s clock was put back by so much: what waits for a time that was reckoned by the clock before it (retries, snoozes, deliveries to endpoints) is due that much earlier, so that it
waits no longer than it was to. Messages wait on for the time that enqueue was given. Returns how many it moved. Raises PR001 when back is negative.';

--
-- Name: follow_events(uuid[], bigint[], uuid[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.follow_events(message_ids uuid[], event_ids bigint[], lease_ids uuid[] DEFAULT NULL::uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
declare
  now constant timestamptz := clock_timestamp();
  addresses text[];
  channels text[];
  tenant_ids bigint[];
  reasons text[];
  sources text[];
  times timestamptz[];
  events bigint[];
  messages uuid[];
  unproven boolean[];
begin
  with event as materialized (
    select e as row, e.event_id, e.message_id, e.event_type, e.occurred_at, e.gateway, e.bounce_type, e.detail,
      coalesce(e.detail ->> 'class', e.reason) as class,
      e.reason, e.lease_id is not null as is_send, coalesce(e.detail ? 'unproven', false) as is_unproven,
      coalesce(m.message_id, k.message_id) is not null as is_known,
      coalesce(m.channel, k.channel, case when e.detail ->> 'recipient' like '%@%' then 'email' else 'sms' end) as channel,
      case
        when m.message_id is not null then m.tenant_id
        when k.message_id is not null then k.tenant_id
        when postroad.is_bigint(e.detail ->> 'tenant_id') then (e.detail ->> 'tenant_id')::bigint
      end as tenant_id,
      coalesce(m.recipient, k.recipient) as recipient,
      coalesce(m.options, k.options) as options,
      coalesce(m.content_id, k.content_id) as content_id
    from postroad.delivery_events as e
    left join lateral (select m.* from postroad.messages as m where m.message_id = e.message_id offset 0) as m on true
    left join postroad.messages_kept as k on m.message_id is null and k.message_id = e.message_id
    where e.message_id = any (follow_events.message_ids)
      and (e.event_id = any (follow_events.event_ids) or e.event_type = 'bounced' and e.lease_id = any (follow_events.lease_ids))
  ), judged as (
    select e.*,
      case
        when e.detail ->> 'wish' = 'stop' then 'stop'
        when e.detail ->> 'wish' = 'start' then 'start'
        when e.event_type = 'unsubscribed' then case when e.channel = 'sms' then 'stop' else 'unsubscribe' end
        when e.event_type = 'complained' then 'complaint'
        when e.event_type = 'delivered' then 'delivered'
        when e.event_type not in ('bounced', 'failed') then null
        when e.channel in ('sms', 'voice') and e.reason in ('opted_out', 'unsubscribed') then 'opted_out'
        when e.is_send and e.reason in ('address_not_public', 'smtputf8_required') then null      -- faults of our own set-up
        when not e.is_send and (e.class = any ('{invalid_recipient,mailbox_full,mailbox_unavailable}')) is not true then null
        when e.bounce_type = 'hard' then case when e.channel = 'push' then 'invalid_token' else 'hard_bounce' end
        when e.bounce_type = 'soft' then 'soft_bounce'
      end as verdict
    from event as e
  )
  select array_agg(x.address), array_agg(x.channel), array_agg(x.tenant_id), array_agg(x.verdict), array_agg(x.gateway), array_agg(x.occurred_at),
    array_agg(x.event_id), array_agg(x.message_id), array_agg(x.is_unproven)
  into addresses, channels, tenant_ids, reasons, sources, times, events, messages, unproven
  from (
    select j.*, postroad.addressee_of(j.row, j.channel, j.recipient, j.options, j.content_id) as address
    from judged as j
    where j.verdict is not null
    offset 0
  ) as x
  where octet_length(x.address) <= 2600;         -- a longer one no index takes: nobody can be suppressed by it
  if addresses is null then
    return;
  end if;

  if 'delivered' = any (reasons) then
    delete from postroad.suppression_strikes as t
    using unnest(addresses, channels, tenant_ids, reasons, times, unproven) as u (address, channel, tenant_id, verdict, occurred_at, is_unproven)
    where u.verdict = 'delivered'
      and t.address = u.address
      and t.channel = u.channel
      and split_part(t.reason, '@', 1) in ('soft_bounce', 'hard_bounce')
      and (not u.is_unproven or u.tenant_id is null or split_part(t.reason, '@', 2) = u.tenant_id::text)
      and t.occurred_at < u.occurred_at;
  end if;

  if 'start' = any (reasons) then
    delete from postroad.suppression_list as s
    using unnest(addresses, channels, reasons, times) as u (address, channel, verdict, occurred_at)
    where u.verdict = 'start'
      and s.address = u.address
      and s.reason in ('stop', 'opted_out')
      and (s.channel is null or s.channel = u.channel)
      and s.created_at <= u.occurred_at;         -- not a STOP that came after it
  end if;

  -- What nobody vouches for counts for its own tenant, as soft_bounce@5.
  insert into postroad.suppression_strikes (address, channel, reason, message_id, occurred_at)
  select u.address, u.channel, u.verdict || coalesce('@' || case when u.is_unproven then u.tenant_id end, ''), u.message_id, u.occurred_at
  from unnest(addresses, channels, tenant_ids, reasons, messages, times, unproven) as u (address, channel, tenant_id, verdict, message_id, occurred_at, is_unproven)
  join postroad.suppression_rules as r on r.reason = u.verdict and r.is_on and r.after > 1
  order by 1, 2, 3, 4
  on conflict do nothing;

  perform postroad.put_suppressions(
    array_agg(u.address), array_agg(case when not r.every_channel then u.channel end), array_agg(s.tenant_id),
    array_agg(u.verdict), array_agg(now + r.expires_after), array_agg(u.source), array_agg(u.occurred_at), array_agg(u.event_id), array_agg(u.message_id))
  from unnest(addresses, channels, tenant_ids, reasons, sources, times, events, messages, unproven)
    as u (address, channel, tenant_id, verdict, source, occurred_at, event_id, message_id, is_unproven)
  join postroad.suppression_rules as r on r.reason = u.verdict and r.is_on
  cross join lateral (select case when u.is_unproven or not r.every_tenant then u.tenant_id end) as s (tenant_id)
  where not exists (                             -- of the two wishes of one number in one call, the later one counts
      select from unnest(addresses, reasons, times) as x (address, verdict, occurred_at)
      where u.verdict = 'stop' and x.verdict = 'start' and x.address = u.address and x.occurred_at > u.occurred_at
    )
    and (r.after = 1 or r.after <= (
      select count(distinct t.message_id)
      from postroad.suppression_strikes as t
      where t.address = u.address
        and t.channel = u.channel
        and t.reason = any (array[u.verdict, u.verdict || '@' || s.tenant_id])
        and (r.within is null or t.occurred_at > now - r.within)
    ));
end;
$$;

--
-- Name: FUNCTION follow_events(message_ids uuid[], event_ids bigint[], lease_ids uuid[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.follow_events(message_ids uuid[], event_ids bigint[], lease_ids uuid[]) IS 'What follows from events that are recorded, for their recipients: suppression by suppression_rules, its end by a START, a new count after a delivery. The events are those
with event_ids, and the bounces of lease_ids, all of message_ids. Only the recipient''s own faults count (class invalid_recipient, mailbox_full, mailbox_unavailable), and what
people say: complaints, unsubscriptions, STOP. What is unproven (see record_events) counts for the tenant of its message, whatever the rule says. May be called twice for the same events.';

--
-- Name: gate_is_open(smallint, bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.gate_is_open(priority smallint, p1_gate bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
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
  return (
    select coalesce(sum(x.messages), 0) < greatest(p1_gate, 1)
    from (
      select 1 + coalesce(cardinality(q.more_ids), 0) as messages
      from postroad.message_queue_p1 as q
      where q.seq >= queue_floor
      limit greatest(p1_gate, 1)
    ) as x
  );
end;
$$;

--
-- Name: FUNCTION gate_is_open(priority smallint, p1_gate bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.gate_is_open(priority smallint, p1_gate bigint) IS 'Whether a pool may claim, asked twice a second at most: its priority is not paused; and P2 and P3 claim only while fewer than p1_gate P1 messages can be sent
now (a paused P1 does not count).';

--
-- Name: gateway_figures(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.gateway_figures() RETURNS TABLE(gateway text, channel text, place smallint, state text, cause text, since timestamp with time zone, paused text, weight integer, calls_5m bigint, sent_5m bigint, sent_1h bigint, failed_1h bigint, p50_ms double precision, p95_ms double precision, last_reason text, last_failure_at timestamp with time zone, last_success_at timestamp with time zone)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
begin
  return query
  with minutes as (
    select g.* from postroad.gateway_minutes as g where g.minute > clock_timestamp() - interval '1 hour'
  ), latency as (
    select m.gateway, m.channel, l.nth - 1 as bucket, sum(l.calls) as calls
    from minutes as m, unnest(m.latencies) with ordinality as l (calls, nth)
    where m.minute > clock_timestamp() - interval '5 minutes'
    group by 1, 2, 3
  ), ranked as (
    select l.*, sum(l.calls) over (partition by l.gateway, l.channel order by l.bucket) as upto, sum(l.calls) over (partition by l.gateway, l.channel) as total
    from latency as l
  ), usual as (
    select r.gateway, r.channel, 2.0 ^ min(r.bucket) filter (where r.upto >= 0.5 * r.total) as p50, 2.0 ^ min(r.bucket) filter (where r.upto >= 0.95 * r.total) as p95
    from ranked as r
    where r.total > 0
    group by 1, 2
  ), counted as (
    select m.gateway, m.channel, sum(m.sent) as sent_1h, sum(m.failed) as failed_1h,
      sum(m.sent) filter (where m.minute > clock_timestamp() - interval '5 minutes') as sent_5m,
      sum(m.sent + m.failed) filter (where m.minute > clock_timestamp() - interval '5 minutes') as calls_5m
    from minutes as m
    group by 1, 2
  )
  select h.gateway, h.channel, h.position,
    case when s.is_open is not true then 'closed' when s.open_until > clock_timestamp() then 'open' else 'half_open' end,
    case when s.is_open then s.cause end, s.changed_at,
    (select x.reason from postroad.pauses as x where x.scope = 'gateway' and x.key = h.gateway), s.weight,
    coalesce(c.calls_5m, 0)::bigint, coalesce(c.sent_5m, 0)::bigint, coalesce(c.sent_1h, 0)::bigint, coalesce(c.failed_1h, 0)::bigint,
    u.p50::double precision, u.p95::double precision, h.last_reason, h.last_failure_at, h.last_success_at
  from postroad.channel_health as h
  left join postroad.gateway_states as s on s.gateway = h.gateway
  left join counted as c on c.gateway = h.gateway and c.channel = h.channel
  left join usual as u on u.gateway = h.gateway and u.channel = h.channel
  order by h.channel, h.position, h.gateway;
end;
$$;

--
-- Name: FUNCTION gateway_figures(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.gateway_figures() IS 'Each gateway of each channel, for monitors: its breaker (closed, open, half_open: may be probed), pause and weight, and what it did, from gateway_minutes, to which workers add every
few seconds. Latencies are of the last 5 minutes, to a power of two.';

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
-- Name: gateway_problem(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.gateway_problem(call jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
  select case when not exists (select from postroad.channel_health as h where h.gateway = call -> 'parameters' ->> 'gateway') then
    postroad.problem(404, 'not_found', 'No worker has registered such a gateway.')
  end
$$;

--
-- Name: FUNCTION gateway_problem(call jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.gateway_problem(call jsonb) IS 'The answer to whoever names a gateway that is not there, or null.';

--
-- Name: hand_back(uuid[], uuid[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.hand_back(lease_ids uuid[], message_ids uuid[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
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
    select postroad.queue_again(array_agg(u.message_id), lease.priority, array_agg(u.attempt), array_agg(lease.rescues)) into queued
    from postroad.unsent_of(lease) as u
    where u.message_id = any (given);
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
-- Name: has_events(txid_snapshot, txid_snapshot, text[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.has_events(seen txid_snapshot, upto txid_snapshot, event_types text[]) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET max_parallel_workers_per_gather TO '0'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
  early bigint[];
  first bigint;
  last constant bigint := txid_snapshot_xmax(upto) - 1;
begin
  select s.early, s.first into early, first from postroad.interval_start(seen, upto) as s;
  return exists (
    select
    from postroad.delivery_events as e
    where (e.xid between first and last or e.xid = any (early))
      and not txid_visible_in_snapshot(e.xid, seen) and txid_visible_in_snapshot(e.xid, upto)
      and postroad.wants_message(event_types, e.event_type)
  ) or exists (
    select
    from postroad.messages as m
    where (m.xid between first and last or m.xid = any (early))
      and not txid_visible_in_snapshot(m.xid, seen) and txid_visible_in_snapshot(m.xid, upto)
      and postroad.wants_message(event_types, 'queued')
  ) or exists (
    select
    from postroad.system_events as s
    where (s.xid between first and last or s.xid = any (early))
      and not txid_visible_in_snapshot(s.xid, seen) and txid_visible_in_snapshot(s.xid, upto)
      and postroad.wants_system(event_types, s.kind)
  );
end;
$$;

--
-- Name: FUNCTION has_events(seen txid_snapshot, upto txid_snapshot, event_types text[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.has_events(seen txid_snapshot, upto txid_snapshot, event_types text[]) IS 'Whether there is an event of these types that upto sees and seen does not.';

--
-- Name: has_news(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.has_news(consumer text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
declare
  reader postroad.consumers;
  present constant txid_snapshot := postroad.event_snapshot();
begin
  select c.* into reader from postroad.consumers as c where c.consumer = has_news.consumer;
  if not found then
    return false;
  elsif reader.batch_xid is not null or reader.upto is not null or txid_snapshot_xmax(present) < txid_snapshot_xmax(reader.seen)
    or postroad.has_events(reader.seen, present, reader.event_types) then
    return true;
  end if;
  if coalesce(reader.read_at, reader.registered_at) not between clock_timestamp() - interval '10 seconds' and clock_timestamp() then
    update postroad.consumers as c
    set seen = present, seen_at = clock_timestamp(), read_at = clock_timestamp()
    where c.consumer = reader.consumer
      and c.seen::text = reader.seen::text
      and c.batch_xid is null
      and c.upto is null;
  end if;
  return false;
end;
$$;

--
-- Name: FUNCTION has_news(consumer text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.has_news(consumer text) IS 'Whether there is anything to read for a reader. A look that finds nothing writes nothing, but for the position once in 10 seconds: even the lock of a row would be a transaction, which
others would look for in turn.';

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
-- Name: http_ack_events(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_ack_events(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION http_ack_events(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_ack_events(call jsonb, OUT status smallint, OUT body jsonb) IS 'POST /consumers/{consumer}/ack: postroad.ack_events.';

--
-- Name: http_add_endpoint(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_add_endpoint(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  b constant jsonb := call -> 'body';
  added record;
begin
  body := postroad.request_problem('POST', '/webhook-endpoints', call);
  if body is null and postroad.normalize_recipient('webhook', b ->> 'url') is null then
    body := postroad.problem(422, 'invalid_url', 'This is no URL to post to.', postroad.error_at('#/url', 'must be an http or https URL without user and password'));
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  select e.endpoint_id, e.signing_secret into added
  from postroad.add_webhook_endpoint(
    url => b ->> 'url',
    event_types => case when jsonb_typeof(b -> 'event_types') = 'array' then array(select jsonb_array_elements_text(b -> 'event_types')) else '{message.*}' end,
    channels => case when jsonb_typeof(b -> 'channels') = 'array' then array(select jsonb_array_elements_text(b -> 'channels')) end,
    tenant_id => (b ->> 'tenant_id')::numeric::bigint,
    include_addresses => coalesce((b ->> 'include_addresses')::boolean, false),
    description => b ->> 'description') as e;
  status := 201;
  body := jsonb_build_object('endpoint_id', added.endpoint_id, 'secret', added.signing_secret);
end;
$$;

--
-- Name: FUNCTION http_add_endpoint(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_add_endpoint(call jsonb, OUT status smallint, OUT body jsonb) IS 'POST /webhook-endpoints: postroad.add_webhook_endpoint.';

--
-- Name: http_bulk_from(jsonb, regclass); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_bulk_from(call jsonb, recipients regclass, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  b constant jsonb := call -> 'body';
  bound constant bigint := call -> 'caller' ->> 'tenant_id';
  sent record;
begin
  -- It is read with the rights of this function's owner: nothing in it may be code of the caller's.
  if not exists (
    select
    from pg_class as c
    where c.oid = recipients
      and c.relpersistence = 't'
      and c.relkind = 'r'
      and not c.relrowsecurity
      and not c.relhassubclass
  ) or exists (
    select
    from pg_attribute as a
    where a.attrelid = recipients
      and a.attnum > 0
      and not a.attisdropped
      and a.atttypid not in ('text'::regtype, 'bigint'::regtype, 'jsonb'::regtype)
  ) then
    raise exception 'recipients must be a temporary table of text, bigint and jsonb'
      using errcode = 'PR001';
  end if;
  body := postroad.bulk_problem(jsonb_set(call, '{body,recipients}', '["streamed"]'));
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  select e.batch_id, e.queued, e.suppressed, e.invalid, e.duplicate, e.reason into sent
  from postroad.enqueue_bulk_from(
    channel => b ->> 'channel',
    recipients => recipients,
    subject => b ->> 'subject',
    body => b ->> 'body',
    html => b ->> 'html',
    template => b ->> 'template',
    data => nullif(b -> 'data', 'null'),
    locale => b ->> 'locale',
    message_type => coalesce(b ->> 'message_type', 'campaign'),
    priority => b ->> 'priority',
    scheduled_for => postroad.read_date_time(b ->> 'scheduled_for'),
    expires_at => postroad.read_date_time(b ->> 'expires_at'),
    idempotency_key => b ->> 'idempotency_key',
    source_type => b ->> 'source_type',
    source_id => (b ->> 'source_id')::numeric::bigint,
    tenant_id => coalesce(bound, (b ->> 'tenant_id')::numeric::bigint),
    ip_pool => b ->> 'ip_pool',
    gateway => b ->> 'gateway',
    options => nullif(b -> 'options', 'null')) as e;
  if sent.batch_id is null or sent.reason = 'key_reused' then
    body := postroad.reason_problem(sent.reason);
    status := (body ->> 'status')::smallint;
    return;
  end if;
  status := case when sent.reason = 'idempotency_key' then 200 else 202 end;
  body := jsonb_build_object('batch_id', sent.batch_id, 'queued', sent.queued, 'suppressed', sent.suppressed, 'invalid', sent.invalid,
    'duplicate', sent.duplicate);
end;
$$;

--
-- Name: FUNCTION http_bulk_from(call jsonb, recipients regclass, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_bulk_from(call jsonb, recipients regclass, OUT status smallint, OUT body jsonb) IS 'POST /messages/bulk of a stream, whose recipients the server has copied into a temporary table (address, id, type, data, locale): postroad.enqueue_bulk_from. All of
them or none.';

--
-- Name: http_cancel(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_cancel(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION http_cancel(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_cancel(call jsonb, OUT status smallint, OUT body jsonb) IS 'DELETE /messages/{message_id}: postroad.cancel.';

--
-- Name: http_channel_stats(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_channel_stats(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  body := postroad.request_problem('GET', '/messages/stats/channels', call);
  if body is not null then
    status := 400;
    return;
  end if;
  status := 200;
  body := jsonb_build_object('channels', (
    select jsonb_agg(jsonb_build_object(
      'channel', c.channel,
      'gateways', (select coalesce(jsonb_agg(h.gateway order by h.position, h.gateway), '[]') from postroad.channel_health as h where h.channel = c.channel),
      'sent_1h', coalesce(x.sent, 0),
      'failed_1h', coalesce(x.failed, 0),
      'paused', (select p.reason from postroad.pauses as p where p.scope = 'channel' and p.key = c.channel)) order by c.nth)
    from unnest('{email,sms,push,voice,in_app,webhook}'::text[]) with ordinality as c (channel, nth)
    left join (
      select g.channel, sum(g.sent) as sent, sum(g.failed) as failed
      from postroad.gateway_minutes as g
      where g.minute >= clock_timestamp() - interval '1 hour'
      group by g.channel
    ) as x on x.channel = c.channel
  ));
end;
$$;

--
-- Name: FUNCTION http_channel_stats(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_channel_stats(call jsonb, OUT status smallint, OUT body jsonb) IS 'GET /messages/stats/channels: what the gateways of each channel answered in the last hour, from the rows that workers write each minute.';

--
-- Name: http_create_key(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_create_key(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  b constant jsonb := call -> 'body';
  bound constant bigint := call -> 'caller' ->> 'tenant_id';
  expires constant timestamptz := postroad.read_date_time(b ->> 'expires_at');
  -- What a bound caller may give at most: what it has.
  own_limit integer;
  own_expiry timestamptz;
  most integer;
  made record;
begin
  body := postroad.request_problem('POST', '/keys', call);
  if body is null and bound is not null then
    select k.requests_per_second, k.expires_at into own_limit, own_expiry
    from postroad.api_keys as k
    where 'key:' || k.key_id = call -> 'caller' ->> 'id';          -- a token has no key: what it makes may outlive it
    most := coalesce(own_limit, (call -> 'caller' ->> 'requests_per_second')::integer);
  end if;
  if body is null and bound <> (b ->> 'tenant_id')::numeric then
    body := postroad.problem(403, 'forbidden', 'The caller is bound to another tenant.', postroad.error_at('#/tenant_id', 'is another tenant'));
  elsif body is null and btrim(b ->> 'name') = '' then
    body := postroad.problem(422, 'invalid_name', 'A key needs a name.', postroad.error_at('#/name', 'must not be blank'));
  elsif body is null and expires <= clock_timestamp() then
    body := postroad.problem(422, 'already_expired', 'The key would have expired already.', postroad.error_at('#/expires_at', 'is in the past'));
  elsif body is null and expires > own_expiry then
    body := postroad.problem(422, 'beyond_own', 'The caller''s own key expires before that.', postroad.error_at('#/expires_at', 'is after the caller''s own key expires'));
  elsif body is null and (b ->> 'requests_per_second')::numeric > most then
    body := postroad.problem(422, 'beyond_own', 'The caller itself may ask ' || most || ' a second.', postroad.error_at('#/requests_per_second', 'must be at most ' || most));
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  select k.key_id, k.key into made
  from postroad.create_api_key(
    name => b ->> 'name',
    roles => array(select jsonb_array_elements_text(b -> 'roles')),
    tenant_id => coalesce(bound, (b ->> 'tenant_id')::numeric::bigint),
    expires_at => coalesce(expires, own_expiry),
    requests_per_second => coalesce((b ->> 'requests_per_second')::numeric::integer, own_limit)) as k;
  status := 201;
  body := jsonb_build_object('key_id', made.key_id, 'key', made.key);
end;
$$;

--
-- Name: FUNCTION http_create_key(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_create_key(call jsonb, OUT status smallint, OUT body jsonb) IS 'POST /keys: postroad.create_api_key. A caller that is bound to a tenant makes keys of that tenant, which may ask no more than it, and expire no later than its own key;
what is not said is as the caller''s own.';

--
-- Name: http_endpoints(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_endpoints(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  body := postroad.request_problem('GET', '/webhook-endpoints', call);
  if body is not null then
    status := 400;
    return;
  end if;
  status := 200;
  body := jsonb_build_object('endpoints', (select coalesce(jsonb_agg(to_jsonb(e) order by e.endpoint_id), '[]') from postroad.outbound_stats as e));
end;
$$;

--
-- Name: FUNCTION http_endpoints(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_endpoints(call jsonb, OUT status smallint, OUT body jsonb) IS 'GET /webhook-endpoints: the view outbound_stats.';

--
-- Name: http_explain(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_explain(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION http_explain(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_explain(call jsonb, OUT status smallint, OUT body jsonb) IS 'GET /messages/{message_id}/explain: postroad.explain.';

--
-- Name: http_gateways(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_gateways(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION http_gateways(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_gateways(call jsonb, OUT status smallint, OUT body jsonb) IS 'GET /gateways: what workers registered, and how it does; of several channels the worst figure.';

--
-- Name: http_keys(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_keys(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  body := postroad.request_problem('GET', '/keys', call);
  if body is not null then
    status := 400;
    return;
  end if;
  status := 200;
  body := jsonb_build_object('keys', (select coalesce(jsonb_agg(to_jsonb(k)), '[]') from postroad.list_api_keys() as k));
end;
$$;

--
-- Name: FUNCTION http_keys(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_keys(call jsonb, OUT status smallint, OUT body jsonb) IS 'GET /keys: postroad.list_api_keys.';

--
-- Name: http_message(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_message(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION http_message(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_message(call jsonb, OUT status smallint, OUT body jsonb) IS 'GET /messages/{message_id}: postroad.status.';

--
-- Name: http_messages(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_messages(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  p constant jsonb := call -> 'parameters';
  bound constant bigint := call -> 'caller' ->> 'tenant_id';
  page_size integer;
  -- What a page costs at most, however few fit: records, or entries of an index; looks at a message's events or record; statuses that turn out to be others.
  looks integer := case when bound is not null or not p ? 'status' then 10000 else 50000 end;
  checks integer := 1000;
  misses integer := 200;
  step integer;
  seen integer := 0;
  last_id uuid;
  id uuid;
  item jsonb;
  items jsonb[] := '{}';
  part record;
  in_flight uuid[];
begin
  body := postroad.request_problem('GET', '/messages', call);
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  page_size := coalesce((p ->> 'limit')::integer, 50);
  step := 2 * page_size;
  last_id := coalesce(postroad.read_cursor(p ->> 'cursor'), 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  <<page>>
  loop
    select x.* into part
    from postroad.look_through_messages(p, bound, last_id, least(step, looks), checks) as x;
    in_flight := postroad.in_flight_of(part.message_ids);
    foreach id in array part.message_ids loop
      continue when id >= last_id;               -- twice
      last_id := id;
      item := postroad.message_json(id, in_flight);
      if item is not null and (not p ? 'status' or item ->> 'status' = p ->> 'status') then
        items := items || item;
        exit page when cardinality(items) >= page_size;
      else
        misses := misses - 1;
        exit page when misses <= 0;
      end if;
    end loop;
    if part.is_end then
      last_id := null;
      exit;
    end if;
    last_id := part.looked_to;
    looks := looks - part.looked;
    checks := checks - part.checked;
    exit when looks <= 0 or checks <= 0;
    seen := seen + part.looked;
    step := least(4 * step, 50000, case when items <> '{}' then page_size + seen / cardinality(items) * (page_size - cardinality(items)) end);
  end loop;
  status := 200;
  body := jsonb_build_object('messages', to_jsonb(items), 'next_cursor', postroad.write_cursor(last_id));
end;
$$;

--
-- Name: FUNCTION http_messages(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_messages(call jsonb, OUT status smallint, OUT body jsonb) IS 'GET /messages: the newest first. A page looks through 10,000 messages at most, or 50,000 entries of the queue or of events, and at 1,000 messages more closely: it may be short, or empty,
and next_cursor goes on from there; without next_cursor there are no more.';

--
-- Name: http_openapi(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_openapi() RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  problem constant jsonb := '{"$ref": "#/components/responses/Problem"}';
begin
  return jsonb_build_object(
    'openapi', '3.1.0',
    'info', jsonb_build_object('title', 'Postroad', 'version', '1', 'description',
      'The messaging layer of an organisation, in its Postgres. Errors are problem+json (RFC 9457): errors says which field is wrong. Calls that change something take an Idempotency-Key.'),
    'servers', '[{"url": "/"}]'::jsonb,
    'security', '[{"key": []}]'::jsonb,
    'paths', (
      select jsonb_object_agg('/api/v1' || p.path, p.methods)
      from (
        select r.path, jsonb_object_agg(lower(r.method), jsonb_strip_nulls(jsonb_build_object(
          'operationId', r.function,
          'summary', r.summary,
          'description', format('For %s.%s', array_to_string(r.roles, ', '), case when r.tenants then '' else ' Not for callers that are bound to a tenant.' end),
          'tags', jsonb_build_array(split_part(r.path, '/', 2)),
          'parameters', nullif(coalesce((
            select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('name', x.key, 'in', x.value -> 'in', 'required', x.value -> 'in' = '"path"' or x.value -> 'required' = 'true',
              'schema', x.value -> 'schema', 'description', x.value -> 'description')) order by x.value ->> 'in', x.key)
            from jsonb_each(r.parameters) as x
          ), '[]') || case when r.method = 'POST' then '[{"$ref": "#/components/parameters/IdempotencyKey"}]'::jsonb else '[]' end, '[]'),
          'requestBody', case when r.request is not null then jsonb_build_object('required', true,
            'content', jsonb_build_object('application/json', jsonb_build_object('schema', r.request))
              || case when r.is_stream then jsonb_build_object('application/x-ndjson', jsonb_build_object(
                'schema', jsonb_build_object('type', 'string', 'description',
                  'A line of JSON each: first the call, without recipients, then the recipients, as many as there are.'))) else '{}' end) end,
          'responses', jsonb_build_object(
            r.success::text, case
              when r.response is null then jsonb_build_object('description', 'Done')
              else jsonb_build_object('description', 'Done', 'content', jsonb_build_object('application/json', jsonb_build_object('schema', r.response)))
            end,
            '400', problem, '401', problem, '403', problem, '404', problem, '429', problem, '431', '{"description": "The head of the request is larger than 32 KiB"}'::jsonb, 'default', problem)
            || case when r.success = 202 then jsonb_build_object('200', jsonb_build_object('description', 'It was there already', 'content',
              jsonb_build_object('application/json', jsonb_build_object('schema', r.response)))) else '{}' end
        ))) as methods
        from postroad.api_routes as r
        group by r.path
      ) as p
    ),
    'components', $q${
      "securitySchemes": {
        "key": {"type": "http", "scheme": "bearer", "description": "An API key (pr_live_…), or a JWT where the server is configured for them."}
      },
      "parameters": {
        "IdempotencyKey": {
          "name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
          "description": "Up to 255 visible ASCII characters. For 24 hours, the same call with it gets the first answer, with Idempotency-Replay: true; another call 422, and 409 while the first one runs."
        }
      },
      "responses": {
        "Problem": {
          "description": "An answer that says no",
          "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        }
      },
      "schemas": {
        "Problem": {
          "type": "object",
          "required": ["type", "title", "status"],
          "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {
              "type": "array",
              "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {"pointer": {"type": "string"}, "parameter": {"type": "string"}, "detail": {"type": "string"}}
              }
            }
          }
        }
      }
    }$q$::jsonb);
end;
$_$;

--
-- Name: FUNCTION http_openapi(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_openapi() IS 'The HTTP API as OpenAPI 3.1, made of api_routes.';

--
-- Name: http_pause_gateway(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_pause_gateway(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION http_pause_gateway(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_pause_gateway(call jsonb, OUT status smallint, OUT body jsonb) IS 'POST /gateways/{gateway}/pause: postroad.pause.';

--
-- Name: http_queue_stats(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_queue_stats(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  body := postroad.request_problem('GET', '/messages/stats/queue', call);
  if body is not null then
    status := 400;
    return;
  end if;
  status := 200;
  body := jsonb_build_object('priorities', (
    select jsonb_agg(jsonb_build_object('priority', q.priority, 'ready', q.ready, 'oldest_at', q.oldest_at,
      'oldest_age_seconds', extract(epoch from q.oldest_age), 'overdue', coalesce(q.overdue, false), 'scheduled', q.scheduled, 'parked', q.parked,
      'processing', q.processing, 'paused', q.paused) order by q.priority)
    from postroad.queue_stats as q
  ));
end;
$$;

--
-- Name: FUNCTION http_queue_stats(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_queue_stats(call jsonb, OUT status smallint, OUT body jsonb) IS 'GET /messages/stats/queue: the view queue_stats.';

--
-- Name: http_read_events(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_read_events(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION http_read_events(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_read_events(call jsonb, OUT status smallint, OUT body jsonb) IS 'GET /consumers/{consumer}/events: postroad.read_events, the same batch until it is acknowledged.';

--
-- Name: http_register_consumer(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_register_consumer(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION http_register_consumer(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_register_consumer(call jsonb, OUT status smallint, OUT body jsonb) IS 'PUT /consumers/{consumer}: postroad.register_consumer.';

--
-- Name: http_remove_endpoint(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_remove_endpoint(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  body := postroad.request_problem('DELETE', '/webhook-endpoints/{endpoint_id}', call);
  if body is null and not postroad.remove_webhook_endpoint((call -> 'parameters' ->> 'endpoint_id')::bigint) then
    body := postroad.problem(404, 'not_found', 'There is no such endpoint.');
  end if;
  status := coalesce((body ->> 'status')::smallint, 200);
  body := coalesce(body, '{"changed": true}');
end;
$$;

--
-- Name: FUNCTION http_remove_endpoint(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_remove_endpoint(call jsonb, OUT status smallint, OUT body jsonb) IS 'DELETE /webhook-endpoints/{endpoint_id}: postroad.remove_webhook_endpoint.';

--
-- Name: http_resume_gateway(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_resume_gateway(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION http_resume_gateway(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_resume_gateway(call jsonb, OUT status smallint, OUT body jsonb) IS 'POST /gateways/{gateway}/resume: postroad.resume.';

--
-- Name: http_retry(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_retry(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION http_retry(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_retry(call jsonb, OUT status smallint, OUT body jsonb) IS 'POST /messages/{message_id}/retry: postroad.retry.';

--
-- Name: http_revoke_key(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_revoke_key(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  body := postroad.request_problem('DELETE', '/keys/{key_id}', call);
  if body is null and not postroad.revoke_api_key((call -> 'parameters' ->> 'key_id')::bigint) then
    body := postroad.problem(404, 'not_found', 'There is no such key, or it was revoked before.');
  end if;
  status := coalesce((body ->> 'status')::smallint, 200);
  body := coalesce(body, '{"changed": true}');
end;
$$;

--
-- Name: FUNCTION http_revoke_key(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_revoke_key(call jsonb, OUT status smallint, OUT body jsonb) IS 'DELETE /keys/{key_id}: postroad.revoke_api_key.';

--
-- Name: http_rotate_endpoint(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_rotate_endpoint(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  id constant text := call -> 'parameters' ->> 'endpoint_id';
begin
  body := postroad.request_problem('POST', '/webhook-endpoints/{endpoint_id}/rotate', call);
  if body is null and not exists (select from postroad.outbound_stats as e where e.endpoint_id = id::bigint) then
    body := postroad.problem(404, 'not_found', 'There is no such endpoint.');
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  status := 200;
  body := jsonb_build_object('secret', postroad.rotate_webhook_secret(id::bigint));
end;
$$;

--
-- Name: FUNCTION http_rotate_endpoint(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_rotate_endpoint(call jsonb, OUT status smallint, OUT body jsonb) IS 'POST /webhook-endpoints/{endpoint_id}/rotate: postroad.rotate_webhook_secret; the old secret signs too for 24 hours.';

--
-- Name: http_routes(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_routes() RETURNS TABLE(method text, path text, function text, roles text[], tenants boolean, cost integer, takes_body boolean, is_stream boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return query
  select r.method::text, r.path::text, quote_ident(r.function), r.roles, r.tenants, r.cost, r.request is not null, r.is_stream
  from postroad.api_routes as r
  order by r.path, r.method;
end;
$$;

--
-- Name: FUNCTION http_routes(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_routes() IS 'The endpoints of the HTTP API, as a server needs them; function is quoted.';

--
-- Name: http_send_bulk(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_send_bulk(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  b constant jsonb := call -> 'body';
  bound constant bigint := call -> 'caller' ->> 'tenant_id';
  wrong bigint;
  sent record;
begin
  body := postroad.bulk_problem(call);
  if body is null then
    select r.nth - 1 into wrong                  -- thousands: one pass, not one call each
    from jsonb_array_elements(b -> 'recipients') with ordinality as r (item, nth)
    where not case jsonb_typeof(r.item)
      when 'string' then true
      when 'object' then r.item - '{address,id,type,data,locale}'::text[] = '{}'
        and jsonb_typeof(r.item -> 'address') = 'string'
        and coalesce(jsonb_typeof(r.item -> 'id'), 'null') in ('number', 'null')
        and coalesce(jsonb_typeof(r.item -> 'type'), 'null') in ('string', 'null')
        and coalesce(jsonb_typeof(r.item -> 'locale'), 'null') in ('string', 'null')
        and coalesce(jsonb_typeof(r.item -> 'data'), 'null') in ('object', 'null')
      else false
    end is true
    order by r.nth
    limit 1;
    if found then
      body := postroad.problem(400, 'invalid_request', 'A recipient is not as the route wants it; see errors.', postroad.error_at(
        '#/recipients/' || wrong, 'must be an address, or an object with address and, if wanted, id, type, data and locale'));
    end if;
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  select e.batch_id, e.queued, e.suppressed, e.invalid, e.duplicate, e.reason into sent
  from postroad.enqueue_bulk(
    channel => b ->> 'channel',
    recipients => b -> 'recipients',
    subject => b ->> 'subject',
    body => b ->> 'body',
    html => b ->> 'html',
    template => b ->> 'template',
    data => nullif(b -> 'data', 'null'),
    locale => b ->> 'locale',
    message_type => coalesce(b ->> 'message_type', 'campaign'),
    priority => b ->> 'priority',
    scheduled_for => postroad.read_date_time(b ->> 'scheduled_for'),
    expires_at => postroad.read_date_time(b ->> 'expires_at'),
    idempotency_key => b ->> 'idempotency_key',
    source_type => b ->> 'source_type',
    source_id => (b ->> 'source_id')::numeric::bigint,
    tenant_id => coalesce(bound, (b ->> 'tenant_id')::numeric::bigint),
    ip_pool => b ->> 'ip_pool',
    gateway => b ->> 'gateway',
    options => nullif(b -> 'options', 'null')) as e;
  if sent.batch_id is null or sent.reason = 'key_reused' then
    body := postroad.reason_problem(sent.reason);
    status := (body ->> 'status')::smallint;
    return;
  end if;
  status := case when sent.reason = 'idempotency_key' then 200 else 202 end;
  body := jsonb_build_object('batch_id', sent.batch_id, 'queued', sent.queued, 'suppressed', sent.suppressed, 'invalid', sent.invalid,
    'duplicate', sent.duplicate);
end;
$$;

--
-- Name: FUNCTION http_send_bulk(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_send_bulk(call jsonb, OUT status smallint, OUT body jsonb) IS 'POST /messages/bulk: postroad.enqueue_bulk, of 10,000 recipients at most. More come as a stream: see http_bulk_from.';

--
-- Name: http_send_message(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_send_message(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

--
-- Name: FUNCTION http_send_message(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_send_message(call jsonb, OUT status smallint, OUT body jsonb) IS 'POST /messages: postroad.enqueue.';

--
-- Name: http_set_endpoint(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_set_endpoint(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  b constant jsonb := call -> 'body';
begin
  body := postroad.request_problem('PATCH', '/webhook-endpoints/{endpoint_id}', call);
  if body is null and b ->> 'url' is not null and postroad.normalize_recipient('webhook', b ->> 'url') is null then
    body := postroad.problem(422, 'invalid_url', 'This is no URL to post to.', postroad.error_at('#/url', 'must be an http or https URL without user and password'));
  elsif body is null and not postroad.set_webhook_endpoint(
      endpoint_id => (call -> 'parameters' ->> 'endpoint_id')::bigint,
      url => b ->> 'url',
      event_types => case when jsonb_typeof(b -> 'event_types') = 'array' then array(select jsonb_array_elements_text(b -> 'event_types')) end,
      channels => case when jsonb_typeof(b -> 'channels') = 'array' then array(select jsonb_array_elements_text(b -> 'channels')) end,
      include_addresses => (b ->> 'include_addresses')::boolean,
      description => b ->> 'description',
      enabled => (b ->> 'enabled')::boolean) then
    body := postroad.problem(404, 'not_found', 'There is no such endpoint.');
  end if;
  status := coalesce((body ->> 'status')::smallint, 200);
  body := coalesce(body, '{"changed": true}');
end;
$$;

--
-- Name: FUNCTION http_set_endpoint(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_set_endpoint(call jsonb, OUT status smallint, OUT body jsonb) IS 'PATCH /webhook-endpoints/{endpoint_id}: postroad.set_webhook_endpoint.';

--
-- Name: http_suppress(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_suppress(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  b constant jsonb := call -> 'body';
  bound constant bigint := call -> 'caller' ->> 'tenant_id';
  changed boolean;
begin
  body := postroad.request_problem('POST', '/suppressions', call);
  if body is null and bound <> (b ->> 'tenant_id')::numeric then
    body := postroad.problem(403, 'forbidden', 'The caller is bound to another tenant.', postroad.error_at('#/tenant_id', 'is another tenant'));
  elsif body is null and not postroad.is_suppressible(b ->> 'channel', b ->> 'address') then
    body := postroad.problem(422, 'invalid_address', 'The channel knows no such address.', postroad.error_at('#/address', 'is no address of the channel'));
  elsif body is null and btrim(b ->> 'reason') = '' then
    body := postroad.problem(422, 'invalid_reason', 'A suppression needs a reason.', postroad.error_at('#/reason', 'must not be blank'));
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  changed := postroad.suppress(
    channel => b ->> 'channel',
    address => b ->> 'address',
    reason => coalesce(b ->> 'reason', 'manual'),
    tenant_id => coalesce(bound, (b ->> 'tenant_id')::numeric::bigint),
    expires_at => postroad.read_date_time(b ->> 'expires_at'));
  status := 200;
  body := jsonb_build_object('changed', changed);
end;
$$;

--
-- Name: FUNCTION http_suppress(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_suppress(call jsonb, OUT status smallint, OUT body jsonb) IS 'POST /suppressions: postroad.suppress.';

--
-- Name: http_suppressions(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_suppressions(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
declare
  p constant jsonb := call -> 'parameters';
  page_size integer;
  place jsonb;
  entries postroad.suppression_list[];
  items jsonb;
  last_item jsonb;
begin
  body := postroad.request_problem('GET', '/suppressions', call);
  if body is null and p ? 'cursor' then
    place := postroad.read_place(p ->> 'cursor');
    if place is null then
      body := postroad.problem(422, 'invalid_cursor', 'The cursor is none of ours.', '[{"parameter": "cursor", "detail": "is none of ours"}]');
    end if;
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  page_size := coalesce((p ->> 'limit')::integer, 50);
  if p ? 'address' then
    entries := array(
      select s
      from postroad.suppression_list as s
      where s.address = any (array[lower(p ->> 'address'), p ->> 'address'])
        and (place is null or (s.address, coalesce(s.channel, '~'), coalesce(s.tenant_id, 9223372036854775807)) > (place ->> 0, place ->> 1, (place ->> 2)::bigint))
      order by s.address, s.channel, s.tenant_id
      limit page_size
    );
  else                                           -- from an address on, along the index; the few rows of that address that were shown are passed over
    entries := array(
      select s
      from postroad.suppression_list as s
      where s.address >= coalesce(place ->> 0, '')
        and (place is null or (s.address, coalesce(s.channel, '~'), coalesce(s.tenant_id, 9223372036854775807)) > (place ->> 0, place ->> 1, (place ->> 2)::bigint))
      order by s.address, s.channel, s.tenant_id -- nulls last, as the index is
      limit page_size
    );
  end if;
  select coalesce(jsonb_agg(to_jsonb(x)), '[]') into items
  from (
    select s.address, s.channel, s.tenant_id, s.reason, s.source, s.created_at, nullif(s.expires_at, 'infinity') as expires_at
    from unnest(entries) as s
  ) as x;
  status := 200;
  if jsonb_array_length(items) = page_size then
    last_item := items -> -1;
    body := jsonb_build_object('suppressions', items, 'next_cursor', postroad.write_place(jsonb_build_array(last_item ->> 'address',
      coalesce(last_item ->> 'channel', '~'), coalesce((last_item ->> 'tenant_id')::bigint, 9223372036854775807))));
  else
    body := jsonb_build_object('suppressions', items, 'next_cursor', null);
  end if;
end;
$$;

--
-- Name: FUNCTION http_suppressions(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_suppressions(call jsonb, OUT status smallint, OUT body jsonb) IS 'GET /suppressions, by address.';

--
-- Name: http_timeline(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_timeline(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION http_timeline(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_timeline(call jsonb, OUT status smallint, OUT body jsonb) IS 'GET /messages/{message_id}/timeline: postroad.timeline.';

--
-- Name: http_unregister_consumer(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_unregister_consumer(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION http_unregister_consumer(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_unregister_consumer(call jsonb, OUT status smallint, OUT body jsonb) IS 'DELETE /consumers/{consumer}: postroad.unregister_consumer.';

--
-- Name: http_unsuppress(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_unsuppress(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  p constant jsonb := call -> 'parameters';
  bound constant bigint := call -> 'caller' ->> 'tenant_id';
begin
  body := postroad.request_problem('DELETE', '/suppressions/{address}', call);
  if body is null and bound <> (p ->> 'tenant_id')::bigint then
    body := postroad.problem(403, 'forbidden', 'The caller is bound to another tenant.', '[{"parameter": "tenant_id", "detail": "is another tenant"}]');
  elsif body is null and not (postroad.is_suppressible(p ->> 'channel', p ->> 'address')
      and postroad.unsuppress(p ->> 'channel', p ->> 'address', coalesce(bound, (p ->> 'tenant_id')::bigint))) then
    body := postroad.problem(404, 'not_found', 'The list has no such entry, for exactly this channel and tenant.');
  end if;
  status := coalesce((body ->> 'status')::smallint, 200);
  body := coalesce(body, '{"changed": true}');
end;
$$;

--
-- Name: FUNCTION http_unsuppress(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_unsuppress(call jsonb, OUT status smallint, OUT body jsonb) IS 'DELETE /suppressions/{address}: postroad.unsuppress.';

--
-- Name: http_weigh_gateway(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.http_weigh_gateway(call jsonb, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION http_weigh_gateway(call jsonb, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.http_weigh_gateway(call jsonb, OUT status smallint, OUT body jsonb) IS 'PUT /gateways/{gateway}/weight: postroad.set_gateway_weight.';

--
-- Name: import_suppressions(text[], text[], text[], text[], text[], text[], boolean); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.import_suppressions(addresses text[], channels text[] DEFAULT '{}'::text[], tenant_ids text[] DEFAULT '{}'::text[], reasons text[] DEFAULT '{}'::text[], expiries text[] DEFAULT '{}'::text[], sources text[] DEFAULT '{}'::text[], dry_run boolean DEFAULT false, OUT changed integer, OUT unchanged integer, OUT bad_rows integer[], OUT problems text[]) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET work_mem TO '64MB'
    SET jit TO 'off'
    AS $$
declare
  keys text[];
  entry_channels text[];
  entry_tenants bigint[];
  entry_reasons text[];
  entry_expiries timestamptz[];
  entry_sources text[];
begin
  if greatest(cardinality(channels), cardinality(tenant_ids), cardinality(reasons), cardinality(expiries), cardinality(sources)) > cardinality(addresses) then
    raise exception 'each array must have as many elements as addresses, or none'
      using errcode = 'PR001';
  end if;
  with given as (
    select u.nth, btrim(u.address) as address, nullif(lower(btrim(u.channel)), '') as channel, nullif(btrim(u.tenant_id), '') as tenant_id,
      coalesce(nullif(btrim(u.reason), ''), 'manual') as reason, nullif(btrim(u.expires_at), '') as expires_at,
      coalesce(nullif(btrim(u.source), ''), session_user) as source
    from unnest(addresses, channels, tenant_ids, reasons, expiries, sources) with ordinality
      as u (address, channel, tenant_id, reason, expires_at, source, nth)
  ), read as materialized (
    select g.*,
      case
        when g.channel is not null then postroad.normalize_recipient(g.channel, g.address)
        when position('@' in g.address) > 0 then postroad.normalize_email(g.address)
        else postroad.normalize_phone(g.address)
      end as normalized,
      case when g.expires_at is not null then postroad.to_time(g.expires_at) end as expiry
    from given as g
  ), checked as materialized (
    select r.*,
      case
        when coalesce(r.address, '') = '' then 'no address'
        when r.channel <> all ('{email,sms,push,voice,in_app,webhook}') then 'unknown channel; known: email, sms, push, voice, in_app, webhook; none for all'
        when r.normalized is null and r.channel is null then 'neither an email address nor a number as +14155550123; other addresses need their channel'
        when r.normalized is null then 'not an address of its channel'
        when r.tenant_id is not null and not postroad.is_bigint(r.tenant_id) then 'tenant_id is no whole number'
        when r.expires_at is not null and r.expiry is null then 'expires_at is no time as 2030-12-31 or 2030-12-31T23:59:59Z'
        when length(r.reason) > 100 or r.reason ~ '[[:cntrl:]]' then 'reason is longer than 100 characters, or more than a line'
        when length(r.source) > 255 or r.source ~ '[[:cntrl:]]' then 'source is longer than 255 characters, or more than a line'
      end as problem
    from read as r
  )
  select
    array_agg(postroad.suppression_key(case when c.channel is null and position('@' in c.normalized) > 0 then 'email' else c.channel end, c.normalized))
      filter (where c.problem is null),
    array_agg(c.channel) filter (where c.problem is null),
    array_agg(case when c.problem is null then c.tenant_id::bigint end) filter (where c.problem is null),
    array_agg(c.reason) filter (where c.problem is null),
    array_agg(c.expiry) filter (where c.problem is null),
    array_agg(c.source) filter (where c.problem is null),
    coalesce(array_agg(c.nth order by c.nth) filter (where c.problem is not null), '{}'),
    coalesce(array_agg(c.problem order by c.nth) filter (where c.problem is not null), '{}')
  into keys, entry_channels, entry_tenants, entry_reasons, entry_expiries, entry_sources, bad_rows, problems
  from checked as c;

  if dry_run or keys is null then
    changed := 0;
  else
    changed := postroad.put_suppressions(keys, entry_channels, entry_tenants, entry_reasons, entry_expiries, entry_sources, is_told => false);
    if changed > 0 then
      perform postroad.audit('import_suppressions', format('%s entries', changed));
    end if;
  end if;
  unchanged := coalesce(cardinality(keys), 0) - changed;
end;
$$;

--
-- Name: FUNCTION import_suppressions(addresses text[], channels text[], tenant_ids text[], reasons text[], expiries text[], sources text[], dry_run boolean, OUT changed integer, OUT unchanged integer, OUT bad_rows integer[], OUT problems text[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.import_suppressions(addresses text[], channels text[], tenant_ids text[], reasons text[], expiries text[], sources text[], dry_run boolean, OUT changed integer, OUT unchanged integer, OUT bad_rows integer[], OUT problems text[]) IS 'Puts many addresses on the suppression list, one element of each array an entry, as text (an array that is null throughout may be empty): channel (none: all), tenant_id
(none: all), reason (default: manual), expires_at (default: for good; UTC where it says no zone) and source (default: the role). As suppress, an entry is never shortened.
It makes no system events. What is not right is left out: bad_rows counts from 1, problems says why. dry_run: only looks. `postroad suppressions import` reads CSV into it; see import_suppressions_from
for psql. Give some 10,000 a call: an outcome for one of these addresses waits for the end of the transaction.';

--
-- Name: import_suppressions_from(regclass, boolean); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.import_suppressions_from(entries regclass, dry_run boolean DEFAULT false, OUT changed bigint, OUT unchanged bigint, OUT invalid bigint, OUT problems text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_hashagg TO 'off'
    AS $$
declare
  columns text[];
  chunk record;
  done record;
  rows bigint := 0;
  sheet refcursor;
  list text;
begin
  columns := array(
    select a.attname::text
    from pg_attribute as a
    where a.attrelid = entries and a.attnum > 0 and not a.attisdropped
  );
  if not 'address' = any (columns) or not columns <@ '{address,channel,tenant_id,reason,expires_at,source}' then
    raise exception 'a list of suppressions has the columns address and, if you like, channel, tenant_id, reason, expires_at, source'
      using errcode = 'PR001', hint = 'Such as create temporary table entries (address text, reason text).';
  end if;
  select string_agg(case when c = any (columns) then format('array_agg(x.%I::text)', c) else '''{}''::text[]' end || format(' as %I', c), ', ')
  into list
  from unnest('{address,channel,tenant_id,reason,expires_at,source}'::text[]) as c;
  changed := 0;
  unchanged := 0;
  invalid := 0;
  problems := '{}';
  open sheet for execute format(
    'select %s from (select e.*, (row_number() over () - 1) / 10000 as "the chunk" from %s as e) as x group by x."the chunk" order by x."the chunk"', list, entries);
  loop
    fetch sheet into chunk;
    exit when not found;
    select i.changed, i.unchanged, i.bad_rows, i.problems into done
    from postroad.import_suppressions(chunk.address, chunk.channel, chunk.tenant_id, chunk.reason, chunk.expires_at, chunk.source, dry_run) as i;
    changed := changed + done.changed;
    unchanged := unchanged + done.unchanged;
    invalid := invalid + cardinality(done.bad_rows);
    problems := problems || array(
      select format('row %s: %s', rows + u.nth, u.problem)
      from unnest(done.bad_rows, done.problems) as u (nth, problem)
      limit greatest(20 - cardinality(problems), 0)
    );
    rows := rows + cardinality(chunk.address);
  end loop;
  close sheet;
end;
$$;

--
-- Name: FUNCTION import_suppressions_from(entries regclass, dry_run boolean, OUT changed bigint, OUT unchanged bigint, OUT invalid bigint, OUT problems text[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.import_suppressions_from(entries regclass, dry_run boolean, OUT changed bigint, OUT unchanged bigint, OUT invalid bigint, OUT problems text[]) IS 'As import_suppressions, from a table of yours, with the column address and any of channel, tenant_id, reason, expires_at, source, and your rights to it. In psql:
create temporary table entries (address text, reason text); \copy entries from ''list.csv'' csv header; select * from postroad.import_suppressions_from(''entries'');
problems are the first 20. Raises PR001 when the table has other columns.';

--
-- Name: in_flight_of(uuid[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.in_flight_of(message_ids uuid[]) RETURNS uuid[]
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select array(
    select x.id
    from unnest(in_flight_of.message_ids) as x (id)
    where x.id in (select u.id from postroad.leases as l, unnest(l.message_ids) as u (id))
  )
$$;

--
-- Name: FUNCTION in_flight_of(message_ids uuid[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.in_flight_of(message_ids uuid[]) IS 'Those of some messages that are in a lease.';

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
  from (select unnest(lease_ids) as lease_id, unnest(message_ids) as message_id) as u
  group by u.lease_id;
end;
$$;

--
-- Name: FUNCTION intend(lease_ids uuid[], message_ids uuid[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.intend(lease_ids uuid[], message_ids uuid[]) IS 'Records that these messages, whose on_unknown is hold, are about to be sent: if the worker dies before their outcome is recorded, they become unknown instead of
being sent again. Must be committed, durably, before the first of them is sent.';

--
-- Name: interval_start(txid_snapshot, txid_snapshot); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.interval_start(seen txid_snapshot, upto txid_snapshot, OUT early bigint[], OUT first bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    AS $$
declare
  ended bigint[];
begin
  ended := array(
    select x.id
    from txid_snapshot_xip(seen) as x (id)
    where txid_visible_in_snapshot(x.id, upto)
    order by x.id
  );
  first := txid_snapshot_xmax(seen);
  early := array(select u.id from unnest(ended) as u (id) where u.id < first - 100 order by 1);
  first := coalesce((select min(u.id) from unnest(ended) as u (id) where u.id >= first - 100), first);
end;
$$;

--
-- Name: FUNCTION interval_start(seen txid_snapshot, upto txid_snapshot, OUT early bigint[], OUT first bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.interval_start(seen txid_snapshot, upto txid_snapshot, OUT early bigint[], OUT first bigint) IS 'Where the transactions begin that upto sees and seen does not: early, those that had been open for long, one by one; and the first one from which on a range is looked
through. Without that a transaction open for an hour would make each interval an hour wide.';

--
-- Name: is_base64(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.is_base64(content text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return decode(content, 'base64') is not null;
exception
  when others then
    content := rtrim(regexp_replace(content, '\s', '', 'g'), '=');        -- without its padding, perhaps
    begin
      return length(content) % 4 <> 1 and decode(rpad(content, (length(content) + 3) / 4 * 4, '='), 'base64') is not null;
    exception
      when others then
        return false;
    end;
end;
$$;

--
-- Name: FUNCTION is_base64(content text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.is_base64(content text) IS 'Whether a text is base64 (RFC 4648, section 4), with or without line breaks and padding.';

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
-- Name: is_jsonb(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.is_jsonb(document text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return document::jsonb is not null or document is null;
exception
  when others then
    return false;
end;
$$;

--
-- Name: FUNCTION is_jsonb(document text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.is_jsonb(document text) IS 'Whether data that came as text is JSON that Postgres can store, or null.';

--
-- Name: is_mailbox(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.is_mailbox(mailbox text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  select mailbox !~ E'[\\u0001-\\u001f\\u007f-\\u009f]'
    and mailbox ~ (E'^(.*<)?[\\s\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]*'
      || '([^]\s<>@,;:".\\()[]+([.][^]\s<>@,;:".\\()[]+)*|"([^\s<>"\\]|\\[^\s<>])*")@([^]\s<>@,;"().[]+([.][^]\s<>@,;"().[]+)*|\[[0-9A-Za-z.:]+\])'
      || E'>?[\\s\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]*$')
    and (position('<' in mailbox) > 0) = (position('>' in mailbox) > 0)
$_$;

--
-- Name: FUNCTION is_mailbox(mailbox text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.is_mailbox(mailbox text) IS 'Whether a text may be one address, or Name <address> (RFC 5322, section 3.4).';

--
-- Name: is_push_subscription(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.is_push_subscription(subscription text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
begin
  return coalesce(subscription::jsonb ->> 'endpoint' ~ E'^https://[^\\s/?#@]+([/?#]\\S*)?$', false);
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
-- Name: is_report(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.is_report(event jsonb) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
  perform
  from jsonb_to_recordset(jsonb_build_array(event)) as e (
    message_id uuid, external_id text, event_type text, occurred_at timestamptz, source_key text, reason text, bounce_type text, bounce_class text,
    recipient text, wish text, detail jsonb, tenant_id bigint, is_proven boolean, channel text);
  return true;
exception
  when data_exception then
    return false;
end;
$$;

--
-- Name: FUNCTION is_report(event jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.is_report(event jsonb) IS 'Whether an event can be read at all: an object, with an id and a time that are such.';

--
-- Name: is_suppressed(text, text, bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.is_suppressed(channel text, address text, tenant_id bigint DEFAULT NULL::bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  if channel <> all ('{email,sms,push,voice,in_app,webhook}') then
    raise exception 'unknown channel %', quote_literal(channel)
      using errcode = 'PR002', hint = 'Channels: email, sms, push, voice, in_app, webhook.';
  end if;
  return postroad.suppressed_by(channel, coalesce(postroad.normalize_recipient(channel, address), address), tenant_id) is not null;
end;
$$;

--
-- Name: FUNCTION is_suppressed(channel text, address text, tenant_id bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.is_suppressed(channel text, address text, tenant_id bigint) IS 'Whether a message to this address over this channel (for this tenant; null: for no tenant) would be suppressed now. The address may be spelled in any way that enqueue accepts. Raises PR002 (unknown channel).';

--
-- Name: is_suppressible(text, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.is_suppressible(channel text, address text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
  select case when channel is null then btrim(address) <> '' else postroad.normalize_recipient(channel, address) is not null end
$$;

--
-- Name: FUNCTION is_suppressible(channel text, address text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.is_suppressible(channel text, address text) IS 'Whether suppression_address knows the address: it raises when it does not.';

--
-- Name: json_problems(jsonb, jsonb, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.json_problems(schema jsonb, value jsonb, pointer text DEFAULT '#'::text) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  kind constant text := jsonb_typeof(value);
  kinds constant jsonb := case jsonb_typeof(schema -> 'type') when 'string' then jsonb_build_array(schema -> 'type') else schema -> 'type' end;
  content constant text := case when kind = 'string' then value #>> '{}' end;
  size integer;
  wrong text;
  problems jsonb := '[]';
  name text;
  item jsonb;
  place text;
begin
  if kinds is not null and not (kinds ? kind or kind = 'number' and kinds ? 'integer' and value::numeric = trunc(value::numeric)) then
    wrong := 'must be ' || (select string_agg(case k.kind
      when 'integer' then 'a whole number' when 'number' then 'a number' when 'string' then 'a string' when 'boolean' then 'true or false'
      when 'array' then 'an array' when 'object' then 'an object' else k.kind end, ' or ' order by k.nth)
      from jsonb_array_elements_text(kinds) with ordinality as k (kind, nth));
  elsif schema ? 'enum' and not schema -> 'enum' @> jsonb_build_array(value) then
    wrong := 'must be one of ' || (select string_agg(coalesce(e.known, 'null'), ', ') from jsonb_array_elements_text(schema -> 'enum') as e (known));
  elsif kind = 'string' then
    wrong := case
      when length(content) < (schema ->> 'minLength')::integer then format('must have %s characters or more', schema ->> 'minLength')
      when length(content) > (schema ->> 'maxLength')::integer then format('must have %s characters or fewer', schema ->> 'maxLength')
      when content !~ (schema ->> 'pattern') then format('must match %s', schema ->> 'pattern')
      when schema ->> 'format' = 'uuid' and content !~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then 'must be a UUID'
      when schema ->> 'format' = 'date-time' and postroad.read_date_time(content) is null then 'must be a date and time as 2026-01-31T12:00:00Z (RFC 3339)'
    end;
  elsif kind = 'number' then
    wrong := case
      when value::numeric < (schema ->> 'minimum')::numeric then format('must be %s or more', schema ->> 'minimum')
      when value::numeric > (schema ->> 'maximum')::numeric then format('must be %s or less', schema ->> 'maximum')
    end;
  elsif kind = 'array' then
    size := jsonb_array_length(value);
    wrong := case
      when size < (schema ->> 'minItems')::integer then format('must have %s items or more', schema ->> 'minItems')
      when size > (schema ->> 'maxItems')::integer then format('must have %s items or fewer', schema ->> 'maxItems')
    end;
    if wrong is null and schema ? 'items' and not schema ? 'x-checked-in-bulk' then
      for item, size in select e.item, e.nth - 1 from jsonb_array_elements(value) with ordinality as e (item, nth) loop
        problems := problems || postroad.json_problems(schema -> 'items', item, pointer || '/' || size);
        exit when jsonb_array_length(problems) >= 10;
      end loop;
    end if;
  elsif kind = 'object' then
    for name in select r.name from jsonb_array_elements_text(schema -> 'required') as r (name) where not value ? r.name loop
      place := pointer || '/' || replace(replace(name, '~', '~0'), '/', '~1');
      problems := problems || jsonb_build_array(jsonb_build_object('pointer', place, 'detail', 'is missing'));
    end loop;
    for name, item in select e.key, e.value from jsonb_each(value) as e loop
      exit when jsonb_array_length(problems) >= 10;
      place := pointer || '/' || replace(replace(left(name, 100), '~', '~0'), '/', '~1');
      if schema -> 'properties' ? name then
        problems := problems || postroad.json_problems(schema -> 'properties' -> name, item, place);
      elsif schema -> 'additionalProperties' = 'false' then
        problems := problems || jsonb_build_array(jsonb_build_object('pointer', place, 'detail', 'is not known here'));
      elsif jsonb_typeof(schema -> 'additionalProperties') = 'object' then
        problems := problems || postroad.json_problems(schema -> 'additionalProperties', item, place);
      end if;
    end loop;
  end if;
  if wrong is not null then
    return jsonb_build_array(jsonb_build_object('pointer', pointer, 'detail', wrong));
  end if;
  return problems;
end;
$_$;

--
-- Name: FUNCTION json_problems(schema jsonb, value jsonb, pointer text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.json_problems(schema jsonb, value jsonb, pointer text) IS 'What is wrong with a value by its JSON Schema: an array of {"pointer", "detail"}, empty when nothing is; it stops at some ten. Knows type, enum, minLength, maxLength, pattern,
format (uuid, date-time), minimum, maximum, minItems, maxItems, items, required, properties and additionalProperties: what api_routes uses. Items of an array
that says x-checked-in-bulk are the caller''s to check.';

--
-- Name: latest_events(integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.latest_events(max_count integer DEFAULT 30) RETURNS TABLE(occurred_at timestamp with time zone, message_id uuid, event_type text, attempt smallint, gateway text, reason text, channel text, priority text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET "TimeZone" TO 'UTC'
    SET jit TO 'off'
    AS $$
declare
  day date;
  part regclass;
  last_blocks tid;
  found_events postroad.delivery_events[] := '{}';
  of_part postroad.delivery_events[];
begin
  -- No index has events by their time. But a table that is only appended to has its latest rows in its last blocks.
  for n in 0..2 loop
    day := (clock_timestamp() at time zone 'UTC')::date - n;
    part := to_regclass('postroad.delivery_events_' || to_char(day, 'YYYYMMDD'));
    continue when part is null;
    last_blocks := format('(%s,0)', greatest(pg_relation_size(part) / current_setting('block_size')::bigint - 8, 0))::tid;
    execute format(
      'select array(select e from postroad.delivery_events as e where e.message_id >= %L and e.message_id < %L and e.ctid >= %L order by e.occurred_at desc limit %s)',
      postroad.uuid_at(day), postroad.uuid_at(day + 1), last_blocks, max_count)
    into of_part;
    found_events := found_events || of_part;
  end loop;
  return query
  select e.occurred_at, e.message_id, e.event_type, e.attempt, e.gateway, e.reason, m.channel, 'P' || m.priority
  from (select x.* from unnest(found_events) as x order by x.occurred_at desc limit max_count) as e
  left join lateral (select r.channel, r.priority from postroad.record_of(e.message_id) as r) as m on true
  order by e.occurred_at desc, e.event_id desc;
end;
$$;

--
-- Name: FUNCTION latest_events(max_count integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.latest_events(max_count integer) IS 'The latest events, newest first, of messages of today (UTC) and the two days before; of very many in the same moment, some may be missing. Reads a few blocks, however many events
there are.';

--
-- Name: leave_out(text, text, bigint, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.leave_out(gateway text, cause text, count bigint, example jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  today constant date := (clock_timestamp() at time zone 'UTC')::date;
  -- Enough to find it with the provider and in the inbox, and nobody's address.
  shown constant jsonb := jsonb_strip_nulls(jsonb_build_object(
    'event_type', left(example ->> 'event_type', 100), 'message_id', left(example ->> 'message_id', 100),
    'external_id', left(example ->> 'external_id', 255), 'source_key', left(example ->> 'source_key', 255),
    'occurred_at', left(example ->> 'occurred_at', 100)));
begin
  update postroad.unplaced_events as x
  set events = x.events + leave_out.count, last_at = clock_timestamp(), last_event = shown
  where x.count_id = (
    select y.count_id
    from postroad.unplaced_events as y
    where y.day = today
      and y.gateway = leave_out.gateway
      and y.cause = leave_out.cause
    limit 1
    for update skip locked                       -- a call that counts at the same time has a row of its own
  );
  if not found then
    insert into postroad.unplaced_events (day, gateway, cause, events, last_at, last_event)
    values (today, leave_out.gateway, leave_out.cause, leave_out.count, clock_timestamp(), shown);
  end if;
end;
$$;

--
-- Name: FUNCTION leave_out(gateway text, cause text, count bigint, example jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.leave_out(gateway text, cause text, count bigint, example jsonb) IS 'Counts events that are not recorded, by cause, and keeps the last as an example, without its recipient. Waits for nobody.';

--
-- Name: list_api_keys(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.list_api_keys() RETURNS TABLE(key_id bigint, prefix text, name text, roles text[], tenant_id bigint, state text, created_at timestamp with time zone, created_by text, expires_at timestamp with time zone, last_used_at timestamp with time zone, revoked_at timestamp with time zone, requests_per_second integer)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return query
  select k.key_id, k.prefix::text, k.name, k.roles, k.tenant_id,
    case when k.revoked_at is not null then 'revoked' when k.expires_at <= clock_timestamp() then 'expired' else 'active' end,
    k.created_at, k.created_by, k.expires_at, k.last_used_at, k.revoked_at, k.requests_per_second
  from postroad.api_keys as k
  order by k.key_id;
end;
$$;

--
-- Name: FUNCTION list_api_keys(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.list_api_keys() IS 'The keys of the HTTP API, without what they are. state: active, expired or revoked; last_used_at: to the minute.';

--
-- Name: listen_events(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.listen_events() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  perform pg_advisory_lock_shared(1886351220, 5);
  listen postroad_events;
end;
$$;

--
-- Name: FUNCTION listen_events(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.listen_events() IS 'Listens on postroad_events, and says so: without a listener nobody looks whether there is something to notify of. A notification comes within some 300 ms of a commit, without a
payload, while a maintainer runs; then call read_events. For as long as the session lasts; call it once a session, not through a pooler of transactions.';

--
-- Name: look_at_workers(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.look_at_workers() RETURNS TABLE(worker_id bigint, is_gone boolean, heartbeat_at timestamp with time zone, is_silent boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  -- A start in the future is one before the clock was put back.
  if clock_timestamp() - pg_postmaster_start_time() between '0' and '5 seconds' then
    return;                                      -- workers are still connecting again
  end if;
  return query
  with held as materialized (
    select h.worker_id from postroad.held_worker_ids() as h (worker_id)
  )
  select w.worker_id, w.worker_id not in (select h.worker_id from held as h), w.heartbeat_at,
    w.heartbeat_at not between clock_timestamp() - interval '15 seconds' and clock_timestamp()
  from postroad.worker_sessions as w
  union all
  select distinct l.worker_id, true, null::timestamptz, false      -- a claim that committed after its worker was rescued
  from postroad.leases as l
  where not exists (select from postroad.worker_sessions as w where w.worker_id = l.worker_id)
    and l.worker_id not in (select h.worker_id from held as h);
end;
$$;

--
-- Name: FUNCTION look_at_workers(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.look_at_workers() IS 'All workers, and of each whether its advisory lock is free (gone), and whether its heartbeat is older than 15 s, or in the future (silent). One that is gone in two looks one second
apart is dead: see rescue. A silent one may be alive, for the clock may have been put forward or back: it is dead when its heartbeat has not changed in the looks of
10 s. None in the first 5 s of a server: workers are still connecting again.';

--
-- Name: look_through_messages(jsonb, bigint, uuid, integer, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.look_through_messages(wanted jsonb, tenant_id bigint, before uuid, look_count integer, check_count integer, OUT message_ids uuid[], OUT looked integer, OUT checked integer, OUT looked_to uuid, OUT is_end boolean) RETURNS record
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
declare
  status constant text := wanted ->> 'status';
  is_any constant boolean := not wanted ?| '{channel,message_type,priority,source,batch_id}' and look_through_messages.tenant_id is null;
  -- Events without which a message does not have the status, and those with which it does not: see postroad.status.
  signs constant text[] := case status when 'sent' then '{sent,unknown}' when 'delivered' then '{delivered,opened,clicked}' when 'unknown' then '{unknown,deferred}'
    else array[status] end;
  counter_signs constant text[] := case status when 'sent' then '{delivered,opened,clicked}' else '{}' end;
  is_waiting constant boolean := coalesce(status in ('queued', 'scheduled', 'processing'), false);
  -- By records, where most have the status, and for a tenant: where a step ends is told to the caller, and must be at a message of its own. Else by the
  -- places where messages wait, or by the index of events.
  by_record constant boolean := status is null or status in ('sent', 'delivered') and not is_any or look_through_messages.tenant_id is not null;
  in_flight uuid[];
  seen uuid[];
  countered uuid[];
begin
  -- Each reads an index that is there for something else, from before on, look_count entries of it.
  if by_record and tenant_id is null then
    select array_agg(x.message_id),
      array_agg(x.message_id) filter (where postroad.message_fits(wanted, x.channel, x.message_type, x.priority, x.source_type, x.source_id, x.batch_id))
    into seen, message_ids
    from (
      select m.message_id, m.channel, m.message_type, m.priority, m.source_type, m.source_id, m.batch_id
      from postroad.messages as m
      where m.message_id < before
      order by m.message_id desc
      limit look_count
    ) as x;
  elsif by_record then
    select array_agg(x.message_id),
      array_agg(x.message_id) filter (where postroad.message_fits(wanted, x.channel, x.message_type, x.priority, x.source_type, x.source_id, x.batch_id))
    into seen, message_ids
    from (
      (
        select m.message_id, m.channel, m.message_type, m.priority, m.source_type, m.source_id, m.batch_id
        from postroad.messages as m
        where (m.tenant_id, m.message_id) < (look_through_messages.tenant_id, before)    -- so that no other index has this order
          and m.tenant_id >= look_through_messages.tenant_id
        order by m.tenant_id desc, m.message_id desc
        limit look_count
      )
      union all
      (
        select k.message_id, k.channel, k.message_type, k.priority, k.source_type, k.source_id, k.batch_id
        from postroad.messages_kept as k         -- few: what waits longer than messages are kept
        where is_waiting
          and k.tenant_id = look_through_messages.tenant_id
          and k.message_id < before
        order by k.message_id desc
        limit look_count
      )
      order by message_id desc
      limit look_count
    ) as x;
  elsif status = 'queued' then
    select array_agg(x.message_id) into seen
    from (                                       -- of as many rows, and of those that may have messages among theirs
      select u.message_id
      from postroad.message_queue as q, unnest(q.message_id || q.more_ids) as u (message_id)
      where q.message_id < before
        and q.message_id >= (
          select (left(min(l.message_id::text), 29) || '0000000')::uuid
          from (select q.message_id from postroad.message_queue as q where q.message_id < before order by q.message_id desc limit look_count) as l
        )
        and u.message_id < before
      order by u.message_id desc
      limit look_count
    ) as x;
  elsif status = 'scheduled' then
    select array_agg(x.message_id) into seen
    from (
      select s.message_id from postroad.scheduled as s where s.message_id < before order by s.message_id desc limit look_count
    ) as x;
  elsif status = 'processing' then               -- as much as is in flight at a time, no more
    select array_agg(x.message_id) into seen
    from (
      select distinct u.message_id
      from postroad.leases as l, unnest(l.message_ids) as u (message_id)
      where u.message_id < before
      order by u.message_id desc
      limit look_count
    ) as x;
  else
    select array_agg(x.message_id), array_agg(x.message_id) filter (where x.event_type = any (signs)), array_agg(x.message_id) filter (where x.event_type = any (counter_signs))
    into seen, message_ids, countered
    from (
      select e.message_id, e.event_type from postroad.delivery_events as e where e.message_id < before order by e.message_id desc limit look_count
    ) as x;
  end if;
  looked := coalesce(cardinality(seen), 0);
  looked_to := seen[looked];
  is_end := looked < look_count;
  checked := 0;
  if is_waiting and not by_record then
    message_ids := seen;
  elsif not by_record and not is_end then        -- some events of the last message may be beyond the entries
    message_ids := array(select u.id from unnest(message_ids) as u (id) where u.id <> looked_to);
    seen := array_remove(seen, looked_to);
    if seen = '{}' then                          -- all are its own
      message_ids := array[looked_to];
    else
      looked_to := seen[cardinality(seen)];
    end if;
  end if;
  message_ids := coalesce(message_ids, '{}');
  if countered is not null then
    message_ids := array(
      select u.id
      from unnest(message_ids) with ordinality as u (id, place)
      where u.id not in (select c.id from unnest(countered) as c (id))
      order by u.place
    );
  end if;
  if cardinality(message_ids) > check_count then
    message_ids := message_ids[:check_count];
    looked_to := message_ids[check_count];
    is_end := false;
  end if;
  if status is null or is_any and not by_record then
    return;
  end if;

  -- Of the others, each that is left costs a look at its place, its events or its record.
  checked := cardinality(message_ids);
  if by_record and is_waiting then
    if status = 'processing' then
      in_flight := postroad.in_flight_of(message_ids);
    end if;
    message_ids := array(
      select u.id
      from unnest(message_ids) with ordinality as u (id, place)
      where case status
          when 'queued' then exists (select from postroad.queue_row_of(u.id))
          when 'scheduled' then exists (select from postroad.scheduled as s where s.message_id = u.id)
          else u.id = any (in_flight)
        end
      order by u.place
    );
  elsif by_record then
    message_ids := array(
      select u.id
      from unnest(message_ids) with ordinality as u (id, place)
      cross join lateral (
        select bool_or(e.event_type = any (signs)) and not bool_or(e.event_type = any (counter_signs)) as may_have_it
        from postroad.delivery_events as e
        where e.message_id = u.id
      ) as x
      where x.may_have_it
      order by u.place
    );
  else
    message_ids := array(
      select u.id
      from unnest(message_ids) with ordinality as u (id, place)
      cross join lateral postroad.record_of(u.id) as x
      where postroad.message_fits(wanted, x.channel, x.message_type, x.priority, x.source_type, x.source_id, x.batch_id)
      order by u.place
    );
  end if;
end;
$$;

--
-- Name: FUNCTION look_through_messages(wanted jsonb, tenant_id bigint, before uuid, look_count integer, check_count integer, OUT message_ids uuid[], OUT looked integer, OUT checked integer, OUT looked_to uuid, OUT is_end boolean); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.look_through_messages(wanted jsonb, tenant_id bigint, before uuid, look_count integer, check_count integer, OUT message_ids uuid[], OUT looked integer, OUT checked integer, OUT looked_to uuid, OUT is_end boolean) IS 'A step of GET /messages: ids of messages before an id, the newest first, that fit what is wanted and may have its status (an id may be there twice, and postroad.status decides),
out of look_count entries of an index, with at most check_count further looks. looked_to says how far it came (for a tenant: a message of its own), is_end that there is no more. Nothing is read as a whole, and no
index is there for it: messages by their id or by tenant, the queue, scheduled, and events by theirs.';

--
-- Name: may_have_gone_out(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.may_have_gone_out(message_id uuid) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  select exists (
    select from postroad.delivery_events as e
    where e.message_id = may_have_gone_out.message_id
      and e.lease_id is not null
      and (e.event_type = 'unknown' or e.event_type = 'deferred' and e.detail ? 'in_doubt')
      and not exists (                           -- its worker, taken for dead, told the end of it after all
        select from postroad.delivery_events as x
        where x.message_id = e.message_id
          and x.lease_id = e.lease_id
          and x.event_type not in ('unknown', 'deferred')
      )
  ) and not exists (
    select from postroad.delivery_events as e
    where e.message_id = may_have_gone_out.message_id
      and e.event_type = 'failed'
      and e.reason = 'settled'                   -- somebody knows that it did not
      and e.lease_id is null
  )
$$;

--
-- Name: FUNCTION may_have_gone_out(message_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.may_have_gone_out(message_id uuid) IS 'Whether an attempt of a message ended without an answer, or with the process that made it: it may have gone out, whatever became of the next one.';

--
-- Name: message_fits(jsonb, text, text, smallint, text, bigint, uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.message_fits(wanted jsonb, channel text, message_type text, priority smallint, source_type text, source_id bigint, batch_id uuid) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
  select (wanted -> 'channel' is null or channel = wanted ->> 'channel')
    and (wanted -> 'message_type' is null or message_type = wanted ->> 'message_type')
    and (wanted -> 'priority' is null or 'P' || priority = wanted ->> 'priority')
    and (wanted -> 'source' is null or source_type = wanted ->> 'source' or source_type || ':' || source_id = wanted ->> 'source')
    and (wanted -> 'batch_id' is null or batch_id = (wanted ->> 'batch_id')::uuid)
$$;

--
-- Name: FUNCTION message_fits(wanted jsonb, channel text, message_type text, priority smallint, source_type text, source_id bigint, batch_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.message_fits(wanted jsonb, channel text, message_type text, priority smallint, source_type text, source_id bigint, batch_id uuid) IS 'Whether a message is one that GET /messages is asked for, but for its status.';

--
-- Name: message_json(uuid, uuid[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.message_json(message_id uuid, in_flight uuid[] DEFAULT NULL::uuid[]) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
  select jsonb_build_object('message_id', m.message_id, 'status', s.status, 'channel', m.channel, 'priority', 'P' || m.priority,
    'message_type', m.message_type, 'recipient', m.recipient, 'tenant_id', m.tenant_id, 'recipient_type', m.recipient_type,
    'recipient_id', m.recipient_id, 'source_type', m.source_type, 'source_id', m.source_id, 'batch_id', m.batch_id,
    'attempts', s.attempts, 'created_at', s.created_at, 'due_at', nullif(s.due_at, 'infinity'), 'sent_at', s.sent_at,
    'delivered_at', s.delivered_at, 'updated_at', s.updated_at, 'gateway', s.gateway, 'external_id', s.external_id, 'reason', s.reason,
    'error', s.error)
  from postroad.record_of(message_json.message_id) as m, postroad.status_of(message_json.message_id, in_flight) as s
$$;

--
-- Name: FUNCTION message_json(message_id uuid, in_flight uuid[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.message_json(message_id uuid, in_flight uuid[]) IS 'A message as the HTTP API shows it: its record, without content, and where it is; null when it is not there for this caller. in_flight: see place_of.';

--
-- Name: message_report(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.message_report(message_id uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return (
    select jsonb_build_object(
      'message', to_jsonb(s) || jsonb_build_object('recipient', m.recipient, 'tenant_id', m.tenant_id, 'source_type', m.source_type, 'source_id', m.source_id,
        'scheduled_for', m.scheduled_for, 'expires_at', m.expires_at, 'batch_id', m.batch_id,
        'traceparent', m.options ->> 'traceparent'),
      'timeline', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from postroad.timeline(message_report.message_id) as t),
      'explain', (select coalesce(jsonb_agg(to_jsonb(e)), '[]') from postroad.explain(message_report.message_id) as e)
    )
    from postroad.record_of(message_report.message_id) as m, postroad.status(message_report.message_id) as s
  );
end;
$$;

--
-- Name: FUNCTION message_report(message_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.message_report(message_id uuid) IS 'A message''s whole way: who it is for, its status, timeline and explain. Null when it is not known. Subject and body are not in it.';

--
-- Name: message_response(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.message_response() RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $_$
  select $q${
    "type": "object",
    "required": ["message_id", "status", "channel", "priority", "message_type", "recipient", "attempts", "created_at"],
    "properties": {
      "message_id": {"type": "string", "format": "uuid"},
      "status": {"type": "string", "enum": ["scheduled", "queued", "processing", "sent", "delivered", "bounced", "failed", "cancelled", "expired", "suppressed", "unknown"]},
      "channel": {"type": "string"},
      "priority": {"type": "string", "enum": ["P0", "P1", "P2", "P3", "P4"]},
      "message_type": {"type": "string"},
      "recipient": {"type": "string"},
      "tenant_id": {"type": ["integer", "null"]},
      "recipient_type": {"type": ["string", "null"]},
      "recipient_id": {"type": ["integer", "null"]},
      "source_type": {"type": ["string", "null"]},
      "source_id": {"type": ["integer", "null"]},
      "batch_id": {"type": ["string", "null"], "format": "uuid"},
      "attempts": {"type": "integer"},
      "created_at": {"type": "string", "format": "date-time"},
      "due_at": {"type": ["string", "null"], "format": "date-time"},
      "sent_at": {"type": ["string", "null"], "format": "date-time"},
      "delivered_at": {"type": ["string", "null"], "format": "date-time"},
      "updated_at": {"type": ["string", "null"], "format": "date-time"},
      "gateway": {"type": ["string", "null"]},
      "external_id": {"type": ["string", "null"]},
      "reason": {"type": ["string", "null"]},
      "error": {"type": ["string", "null"]}
    }
  }$q$::jsonb
$_$;

--
-- Name: FUNCTION message_response(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.message_response() IS 'The JSON Schema of message_json.';

--
-- Name: message_schema(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.message_schema() RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $_$
  select $q${
    "type": "object",
    "additionalProperties": false,
    "required": ["channel"],
    "properties": {
      "channel": {"type": "string", "enum": ["email", "sms", "push", "voice", "in_app", "webhook"]},
      "recipient": {"type": "string", "minLength": 1, "maxLength": 4096, "description": "An address, an E.164 number, a token, a user or a URL, as the channel wants it."},
      "subject": {"type": ["string", "null"], "maxLength": 998},
      "body": {"type": ["string", "null"], "description": "Plain text."},
      "html": {"type": ["string", "null"], "description": "Email only."},
      "template": {"type": ["string", "null"], "maxLength": 200},
      "data": {"type": ["object", "null"]},
      "locale": {"type": ["string", "null"], "maxLength": 35},
      "message_type": {"type": "string", "enum": ["emergency", "alert", "newsletter", "campaign", "transactional"]},
      "priority": {"type": ["string", "null"], "enum": ["P0", "P1", "P2", "P3", "P4", null]},
      "scheduled_for": {"type": ["string", "null"], "format": "date-time"},
      "expires_at": {"type": ["string", "null"], "format": "date-time"},
      "idempotency_key": {"type": ["string", "null"], "minLength": 1, "maxLength": 255, "description": "Of the message, kept 7 days; beside the header, which is of the call."},
      "recipient_type": {"type": ["string", "null"], "maxLength": 255},
      "recipient_id": {"type": ["integer", "null"], "minimum": -9223372036854775808, "maximum": 9223372036854775807},
      "source_type": {"type": ["string", "null"], "maxLength": 255},
      "source_id": {"type": ["integer", "null"], "minimum": -9223372036854775808, "maximum": 9223372036854775807},
      "tenant_id": {"type": ["integer", "null"], "minimum": -9223372036854775808, "maximum": 9223372036854775807, "description": "The caller's, when it is bound to one."},
      "ip_pool": {"type": ["string", "null"], "maxLength": 255},
      "gateway": {"type": ["string", "null"], "maxLength": 255},
      "options": {"type": ["object", "null"], "description": "from, reply_to, cc, bcc, headers, tags, attachments, on_unknown, max_attempts, push, sms, voice."}
    }
  }$q$::jsonb
$_$;

--
-- Name: FUNCTION message_schema(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.message_schema() IS 'What POST /messages takes, as JSON Schema; postroad.enqueue says more of each field.';

--
-- Name: misheld_keys(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.misheld_keys() RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  holders text[];
  now_held text[];
begin
  -- Whoever enqueues holds keys of pools too, shared and for a moment: who holds one in each of three looks does not.
  for look in 1..3 loop
    now_held := array(
      select l.pid || ' ' || l.objid
      from pg_locks as l
      join pg_stat_activity as a using (pid)
      where l.locktype = 'advisory'
        and l.database = (select d.oid from pg_database as d where d.datname = current_database())
        and l.classid = 1886351220
        and l.objsubid = 2
        and l.granted
        and (l.objid = 1 or l.objid between 10 and 24)
        and (not has_function_privilege(a.usesysid, 'postroad.misheld_keys()', 'execute') or a.usename is null or a.application_name = 'psql')
      order by l.objid, l.pid
    );
    holders := case when look = 1 then now_held else array(select unnest(holders) intersect select unnest(now_held) order by 1) end;
    exit when holders = '{}';
    perform pg_sleep(0.01);
  end loop;
  return query
  select format('session %s of user %s holds the advisory lock (1886351220, %s), which is for workers: %s. See who it is, and end it: select pg_terminate_backend(%1$s)',
    h.pid, coalesce((select a.usename from pg_stat_activity as a where a.pid = h.pid), '(dropped)'), h.key,
    case
      when h.key = 1 then 'nobody is elected for upkeep, so that the queue gets slower and no partitions are made'
      else format('P%s is not woken when something is enqueued, and polls', h.key % 10)
    end)
  from (select split_part(u.holder, ' ', 1)::integer as pid, split_part(u.holder, ' ', 2)::integer as key from unnest(holders) as u (holder)) as h
  order by h.key, h.pid;
end;
$_$;

--
-- Name: FUNCTION misheld_keys(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.misheld_keys() IS 'Who holds an advisory lock of ours and is no worker (or is in psql), a sentence each: Postgres lets any session take any. Logged once a minute by every process that waits to be elected for
upkeep, and by the one that is.';

--
-- Name: need_read_committed(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.need_read_committed() RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'this needs a transaction that is read committed, not %', current_setting('transaction_isolation')
      using errcode = 'PR001', hint = 'It must see what others commit while it waits: begin isolation level read committed.';
  end if;
end;
$$;

--
-- Name: FUNCTION need_read_committed(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.need_read_committed() IS 'Raises PR001 in a transaction that sees no more than its first snapshot: what waits for a worker''s commit and then goes by what is there would go by what was.';

--
-- Name: next_seq(smallint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.next_seq(priority smallint) RETURNS bigint
    LANGUAGE sql
    AS $$
  select nextval((array[
    'postroad.queue_seq_p0', 'postroad.queue_seq_p1', 'postroad.queue_seq_p2', 'postroad.queue_seq_p3', 'postroad.queue_seq_p4'
  ]::regclass[])[priority + 1])
$$;

--
-- Name: FUNCTION next_seq(priority smallint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.next_seq(priority smallint) IS 'The next place in the queue of a priority. Call it in an insert into message_queue only: that lock is what floors wait for.';

--
-- Name: no_such_message(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.no_such_message() RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $$
  select postroad.problem(404, 'not_found', 'There is no such message.')
$$;

--
-- Name: FUNCTION no_such_message(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.no_such_message() IS 'The answer to whoever asks for a message that is not there, or not theirs.';

--
-- Name: normalize_domain(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.normalize_domain(domain text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select case
    when position('xn--' in f.folded) = 0 then f.folded
    else (
      select string_agg(coalesce(postroad.u_label(l.label), l.label), '.' order by l.nth)
      from string_to_table(f.folded, '.') with ordinality as l (label, nth)
    )
  end
  from (select postroad.fold_domain(domain) as folded) as f
$$;

--
-- Name: FUNCTION normalize_domain(domain text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.normalize_domain(domain text) IS 'The one spelling of a domain, in the letters that stand for it: full-width and other compatibility forms as plain ones (NFKC), the capitals of Latin, Greek and Cyrillic small, A-labels (xn--…) as the U-labels
that they stand for, where u_label knows them.';

--
-- Name: normalize_email(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.normalize_email(address text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  select case
    -- Nearly all: plain ASCII, spelled as we spell it, and short enough for every limit at once.
    when octet_length(address) <= 64
      and position('xn--' in address) = 0
      and address ~ '^[A-Za-z0-9_+&=!#$%*/?^{|}~''-]+([.][A-Za-z0-9_+&=!#$%*/?^{|}~''-]+)*@([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])+[a-z0-9]([a-z0-9-]*[a-z0-9])?$'
    then address
    else postroad.normalize_other_email(address)
  end
$_$;

--
-- Name: FUNCTION normalize_email(address text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.normalize_email(address text) IS 'An email address with its domain in lower case (whatever the locale of the database; see normalize_other_email), or null when it is none: a dot-atom of up to 64 bytes (RFC 5321, section 4.5.3.1.1),
a domain of letter-digit-hyphen labels of up to 63 with at least one dot (or localhost), 254 bytes in all. Letters may be of any script, in any database.
Quoted local parts and address literals are not accepted.';

--
-- Name: normalize_other_email(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.normalize_other_email(address text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  select case
    -- No space, control or invisible mark of any script; by code point, for the locale of the database must have no say.
    when octet_length(address) <= 1000            -- blanks around it included
      and address !~ E'[\\u0080-\\u00a0\\u00ad\\u1680\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u3000\\ufeff\\ufff0-\\uffff]'
      and btrim(address, E' \t\r\n') ~ '^[^@]+@[^@]+$'
    then (
      select case
        when a.address ~ E'^[^]\\u0001-\\u0020\\u007f"(),:;<>@[\\\\.]+(\\.[^]\\u0001-\\u0020\\u007f"(),:;<>@[\\\\.]+)*@([A-Za-z0-9\\u0080-\\U0010ffff]([A-Za-z0-9\\u0080-\\U0010ffff-]*[A-Za-z0-9\\u0080-\\U0010ffff])?\\.)*[A-Za-z0-9\\u0080-\\U0010ffff]([A-Za-z0-9\\u0080-\\U0010ffff-]*[A-Za-z0-9\\u0080-\\U0010ffff])?$'
          and octet_length(a.address) <= 254
          and (position('.' in split_part(a.address, '@', 2)) > 0 or split_part(a.address, '@', 2) = 'localhost')
          and octet_length(split_part(a.address, '@', 1)) <= 64
          and split_part(a.address, '@', 2) !~ '[^.]{64}'
        then a.address
      end
      from (                                     -- letters that a lookup of the domain takes for others (UTS 46) are those others
        select split_part(t.text, '@', 1) || '@' || postroad.normalize_domain(split_part(t.text, '@', 2)) as address
        from (select btrim(address, E' \t\r\n')) as t (text)
      ) as a
    )
  end
$_$;

--
-- Name: FUNCTION normalize_other_email(address text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.normalize_other_email(address text) IS 'normalize_email for an address that is not plain ASCII in our spelling, or whose domain is in A-labels; see normalize_domain.';

--
-- Name: normalize_phone(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.normalize_phone(number text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  select case
    when n.digits ~ '^[+][1-9][0-9]{6,14}$' then n.digits
  end
  from (select case when octet_length(number) <= 255 then regexp_replace(regexp_replace(btrim(number), '[ ().-]', '', 'g'), '^00', '+') end) as n (digits)
$_$;

--
-- Name: FUNCTION normalize_phone(number text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.normalize_phone(number text) IS 'An E.164 number: + and 7 to 15 digits, of which the first is not 0; or null when it is none. Spaces, dots, hyphens and parentheses
are taken out, a leading 00 is read as +; with them it has up to 255 bytes. A number without country code is none: which country would it be?';

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
      when length(recipient) <= 2048 and btrim(recipient) ~ E'^https?://[^\\s/?#@[:cntrl:]]+([/?#][^\\s[:cntrl:]]*)?$' then btrim(recipient)
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
-- Name: notice_events(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.notice_events(since text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  upto constant txid_snapshot := postroad.event_snapshot();
  seen constant txid_snapshot := since::txid_snapshot;
begin
  if pg_try_advisory_xact_lock(1886351220, 5) then       -- nobody listens
    return upto;
  end if;
  if seen is not null and postroad.has_events(seen, upto, '{*,system.*}') then
    notify postroad_events;
  end if;
  return upto;
end;
$$;

--
-- Name: FUNCTION notice_events(since text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.notice_events(since text) IS 'Notifies those who listen_events when there are events since a snapshot (null: none), and returns the snapshot from which to look next. So no transaction that writes events
waits for a notification.';

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
-- Name: open_batch(text, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.open_batch(consumer text, max_count integer, OUT reader postroad.consumers) RETURNS postroad.consumers
    LANGUAGE plpgsql
    AS $$
declare
  nil constant uuid := '00000000-0000-0000-0000-000000000000';
  all_of_it constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
  early bigint[];
  first bigint;
  last bigint;
  upper bigint;
  width bigint := greatest(max_count, 100);
  found bigint := 0;
  full_up boolean := false;
  size record;
  bounds record;
  keys uuid[];
begin
  if not postroad.has_news(consumer) then
    select c.* into reader from postroad.consumers as c where c.consumer = open_batch.consumer;
    return;
  end if;
  select c.* into reader
  from postroad.consumers as c
  where c.consumer = open_batch.consumer
  for update;                                    -- two readers of one name take turns, and get the same batch
  if reader.consumer is null or reader.batch_xid is not null then
    return;                                      -- a batch that was not acknowledged is read again, as it was
  end if;
  reader := postroad.open_interval(reader);
  reader.batch_id := reader.batch_id + 1;
  upper := txid_snapshot_xmax(reader.upto) - 1;

  if reader.split_last is not null then          -- the rest of a transaction that is larger than a batch
    keys := array(
      select postroad.event_keys(reader.at_xid, reader.at_key, reader.at_key, reader.split_last, reader.event_types, max_count)
    );
    if cardinality(keys) > 0 then
      reader.batch_xid := reader.at_xid;
      reader.batch_key := keys[cardinality(keys)];
    end if;
    if cardinality(keys) < max_count then
      reader.split_last := null;
    end if;
  end if;

  if reader.batch_xid is null then               -- whole transactions in their order, as many as fit, looked for in growing steps
    select s.early, s.first into early, first from postroad.interval_start(reader.seen, reader.upto) as s;
    early := array(select u.id from unnest(early) as u (id) where u.id > coalesce(reader.at_xid, 0));
    first := greatest(first, reader.at_xid + 1);
    loop
      last := least(first + width - 1, upper);
      for size in
        select t.xid, t.events
        from postroad.event_sizes(reader.seen, reader.upto, early, first, last, reader.event_types) as t
        order by t.xid
      loop
        if found = 0 and size.events > max_count then
          select b.low, b.last into bounds from postroad.event_bounds(size.xid) as b;
          keys := array(select postroad.event_keys(size.xid, bounds.low, nil, bounds.last, reader.event_types, max_count));
          reader.batch_xid := size.xid;
          reader.batch_key := keys[max_count];
          reader.split_last := bounds.last;
          full_up := true;
          exit;
        end if;
        full_up := found + size.events > max_count;
        exit when full_up;
        found := found + size.events;
        reader.batch_xid := size.xid;
        reader.batch_key := all_of_it;
      end loop;
      exit when full_up or last >= upper;
      early := '{}';
      first := last + 1;
      width := width * 2;
    end loop;
  end if;

  if reader.batch_xid is not null then
    update postroad.consumers as c
    set upto = reader.upto, upto_at = reader.upto_at, batch_id = reader.batch_id, batch_xid = reader.batch_xid, batch_key = reader.batch_key,
      split_last = reader.split_last, read_at = clock_timestamp()
    where c.consumer = open_batch.consumer;
  else                                           -- nothing more in this interval: the next one begins where it ends
    update postroad.consumers as c
    set seen = reader.upto, seen_at = reader.upto_at, upto = null, upto_at = null, at_xid = null, at_key = null, split_last = null,
      read_at = clock_timestamp()
    where c.consumer = open_batch.consumer;
    if reader.at_xid is not null then            -- it may be of long ago
      select b.* into reader from postroad.open_batch(consumer, max_count) as b;
    end if;
  end if;
end;
$$;

--
-- Name: FUNCTION open_batch(consumer text, max_count integer, OUT reader postroad.consumers); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.open_batch(consumer text, max_count integer, OUT reader postroad.consumers) IS 'Opens the next batch of a reader, unless one is open: it ends after as many whole transactions as fit in max_count, or within one that is larger. Returns the reader;
its batch_xid is null when there is nothing to read. Raises PR011 when its position is of another server.';

--
-- Name: open_interval(postroad.consumers); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.open_interval(INOUT reader postroad.consumers) RETURNS postroad.consumers
    LANGUAGE plpgsql
    AS $$
begin
  if reader.upto is not null then
    return;
  end if;
  reader.upto := postroad.event_snapshot();
  reader.upto_at := clock_timestamp();
  if txid_snapshot_xmax(reader.upto) < txid_snapshot_xmax(reader.seen) then
    raise exception 'the position of consumer % is of another server', quote_literal(reader.consumer)
      using errcode = 'PR011', hint = 'The database was restored from a dump: unregister the consumer and register it anew.';
  end if;
end;
$$;

--
-- Name: FUNCTION open_interval(INOUT reader postroad.consumers); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.open_interval(INOUT reader postroad.consumers) IS 'What a reader reads next ends with what can be seen now, unless it is at an interval that is not read to its end. Raises PR011 when its position is of another server.';

--
-- Name: options_reason(text, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.options_reason(channel text, options jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
declare
  wrong text;
begin
  if channel not in ('email', 'webhook') or options is null then
    return null;
  end if;
  if exists (
    select
    from jsonb_each_text(options -> 'headers') as h
    where h.value ~ case channel when 'email' then E'[\\u0001-\\u0008\\u000a-\\u001f\\u007f-\\u009f]' else E'[\\u0001-\\u0008\\u000a-\\u001f\\u007f]' end
  ) then
    return 'invalid_header';
  elsif channel = 'webhook' then
    return null;
  end if;
  select 'invalid_' || k.name into wrong
  from unnest('{from,reply_to,cc,bcc}'::text[]) with ordinality as k (name, nth),
    jsonb_path_query(options -> k.name, '$[*]') as a (mailbox)
  where not postroad.is_mailbox(a.mailbox #>> '{}')
  order by k.nth
  limit 1;
  if wrong is not null then
    return wrong;
  elsif exists (
    select
    from jsonb_array_elements_text(options -> 'tags') as t (tag)
    where t.tag ~ E'[\\u0001-\\u0008\\u000a-\\u001f\\u007f-\\u009f]'
  ) then
    return 'invalid_tag';
  elsif exists (
    select
    from jsonb_array_elements(options -> 'attachments') as a (attachment)
    where a.attachment ->> 'filename' ~ E'[\\u0001-\\u001f\\u007f-\\u009f]'
      or a.attachment ->> 'content_type' !~ '^([A-Za-z0-9!#$%&''*+.^_`|~-]+/[A-Za-z0-9!#$%&''*+.^_`|~-]+ *(;[ -~]*)?$|[Mm][Uu][Ll][Tt][Ii][Pp][Aa][Rr][Tt]/|[Mm][Ee][Ss][Ss][Aa][Gg][Ee]/)'
      or a.attachment ->> 'content_id' !~ '^[]!#-;=?-[^-~]{1,200}$'
      or not postroad.is_base64(a.attachment ->> 'content')
  ) then
    return 'invalid_attachment';
  end if;
  return null;
end;
$_$;

--
-- Name: FUNCTION options_reason(channel text, options jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.options_reason(channel text, options jsonb) IS 'Which of the options of a mail or a webhook holds what can never go out, or null: invalid_header (a control character in a value), invalid_from,
invalid_reply_to, invalid_cc, invalid_bcc (not one address, or Name <address>), invalid_tag (a control character), invalid_attachment (a content that is no base64, a content_type that is no media
type, a content_id of other than 1 to 200 characters that fit between angle brackets, a control character in a filename). It accepts more than the gateways do, which look once more.';

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
    AS $_$
declare
  paused bigint;
  named constant text := case scope when 'domain' then postroad.normalize_domain(key) when 'gateway' then postroad.gateway_named(key) else key end;
  before jsonb;
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
  -- A key that nothing can have would pause nothing, and say nothing.
  if scope = 'tenant' and not (key ~ '^(0|-?[1-9][0-9]*)$' and postroad.is_bigint(key)) then
    raise exception 'a tenant is a whole number, not %', quote_literal(key)
      using errcode = 'PR001', hint = 'The tenant_id of its messages, such as pause(''tenant'', ''7'', …).';
  end if;
  if scope = 'domain' and (key ~ '[@*[:space:]]|[.]$' or key !~ '[.]' and key <> 'localhost') then
    raise exception '% is no domain', quote_literal(key)
      using errcode = 'PR001', hint = 'What stands behind the @ of its addresses, such as pause(''domain'', ''example.org'', …).';
  end if;
  if scope = 'gateway' and not exists (select from postroad.channel_health as h where h.gateway = named)
    and exists (select from postroad.channel_health)
  then
    raise exception 'no worker has a gateway %', quote_literal(key)
      using errcode = 'PR002', hint = 'Gateways: ' || (select string_agg(distinct h.gateway, ', ' order by h.gateway) from postroad.channel_health as h) || '.';
  end if;
  select jsonb_build_object('reason', x.reason, 'paused_by', x.paused_by) into before
  from postroad.pauses as x
  where x.scope = pause.scope
    and x.key = named;
  insert into postroad.pauses as x (scope, key, reason, paused_by)
  values (scope, named, reason, coalesce(nullif(current_setting('postroad.caller', true), ''), session_user))
  on conflict on constraint pauses_are_unique do update
  set reason = excluded.reason
  returning x.pause_id into paused;
  perform postroad.audit('pause', scope || ' ' || named, before, jsonb_build_object('reason', reason));
  return paused;
end;
$_$;

--
-- Name: FUNCTION pause(scope text, key text, reason text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.pause(scope text, key text, reason text) IS 'Pauses a scope: priority (P0 … P4: not claimed), channel, source (a source_type, or source_type:source_id), tenant, domain (of email addresses): their messages are parked;
gateway: not used; messages that have no other one wait. Messages already handed to a gateway are not held. Returns the id of the pause; paused again, its reason is replaced.
Raises PR001 (no key or reason, or a key that no tenant or domain can have) and PR002 (unknown scope, priority, channel or gateway).';

--
-- Name: pause_of(text, text, bigint, bigint, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.pause_of(channel text, source_type text, source_id bigint, tenant_id bigint, recipient text) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
  select x.pause_id
  from postroad.pauses as x
  where (x.scope, x.key) in (
    ('channel', pause_of.channel),
    ('source', pause_of.source_type),
    ('source', pause_of.source_type || ':' || pause_of.source_id),
    ('tenant', pause_of.tenant_id::text),
    ('domain', case when pause_of.channel = 'email' then split_part(pause_of.recipient, '@', 2) end)
  )
  order by x.pause_id
  limit 1
$$;

--
-- Name: FUNCTION pause_of(channel text, source_type text, source_id bigint, tenant_id bigint, recipient text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.pause_of(channel text, source_type text, source_id bigint, tenant_id bigint, recipient text) IS 'The pause that parks a message of these, or null. Scopes: channel; source, by type or type:id; tenant; domain of an email address.
A paused priority is not claimed at all; a paused gateway is a matter of routing.';

--
-- Name: place_of(uuid, uuid[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.place_of(message_id uuid, in_flight uuid[] DEFAULT NULL::uuid[], OUT place text, OUT due_at timestamp with time zone, OUT pause_id bigint, OUT seq bigint, OUT attempt smallint, OUT lease_id uuid, OUT worker_id bigint, OUT leased_at timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
begin
  select 'queued', q.seq, q.attempt into place, seq, attempt
  from postroad.queue_row_of(place_of.message_id) as q;
  if found then
    return;
  end if;
  select 'scheduled', s.due_at, s.pause_id, s.attempt into place, due_at, pause_id, attempt
  from postroad.scheduled as s
  where s.message_id = place_of.message_id;
  if found then
    return;
  end if;
  if message_id <> all (in_flight) then
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
-- Name: FUNCTION place_of(message_id uuid, in_flight uuid[], OUT place text, OUT due_at timestamp with time zone, OUT pause_id bigint, OUT seq bigint, OUT attempt smallint, OUT lease_id uuid, OUT worker_id bigint, OUT leased_at timestamp with time zone); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.place_of(message_id uuid, in_flight uuid[], OUT place text, OUT due_at timestamp with time zone, OUT pause_id bigint, OUT seq bigint, OUT attempt smallint, OUT lease_id uuid, OUT worker_id bigint, OUT leased_at timestamp with time zone) IS 'Where a message waits: queued, scheduled or processing, or null when it does not. Leases are of many tenants: who asks has found the message''s record first. in_flight is for
who asks about many, in one snapshot: in_flight_of them; else each call reads all leases.';

--
-- Name: place_reports(text, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.place_reports(gateway text, events jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
declare
  placed jsonb;
begin
  with given as materialized (
    select g.event, g.nth, g.event ->> 'external_id' as external_id, g.event ->> 'message_id' as message_id, left(g.event ->> 'source_key', 1000) as source_key
    from jsonb_array_elements(events) with ordinality as g (event, nth)
  ), found as materialized (
    select g.*, coalesce(g.message_id, (
      select e.message_id::text
      from postroad.delivery_events as e
      where e.external_id = g.external_id
        and e.event_type = 'sent'
        and e.gateway >= 'ovh' and e.gateway < 'ovi'            -- as the index has it
        and e.gateway = place_reports.gateway
      order by e.occurred_at desc
      limit 1
    )) as found_id
    from given as g
  ), orphan as materialized (
    select f.nth, f.source_key, postroad.uuid_v7() as new_id
    from found as f
    where f.found_id is null
      and f.event ->> 'event_type' = any ('{received,unsubscribed,complained}')
      and f.event ->> 'recipient' <> ''
      and f.event ->> 'is_proven' is distinct from 'false'     -- anybody can say whose complaint it is
  ), kept as (
    insert into postroad.inbound_messages (message_id, gateway, source_key)
    select o.new_id, place_reports.gateway, o.source_key
    from orphan as o
    order by o.source_key
    on conflict do nothing
    returning message_id, source_key
  )
  select jsonb_agg(case
      when f.message_id is not null then f.event
      else jsonb_set(f.event, '{message_id}', coalesce(to_jsonb(coalesce(f.found_id, k.message_id::text, i.message_id::text)), 'null'))
    end order by f.nth)
  into placed
  from found as f
  left join orphan as o on o.nth = f.nth
  left join kept as k on k.message_id = o.new_id or k.source_key = o.source_key
  left join postroad.inbound_messages as i on k.message_id is null and o.nth is not null and i.gateway = place_reports.gateway and i.source_key = o.source_key;
  return placed;
end;
$$;

--
-- Name: FUNCTION place_reports(gateway text, events jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.place_reports(gateway text, events jsonb) IS 'Events with the ids of their messages, for those that come without: by the provider''s id of it where the gateway gives ours not back (delivery_events_external); what a
person says without any message of ours (received, unsubscribed, complained, with a recipient) gets an id of its own, the same when it is reported again, if it is proven (is_proven).
The rest stays without.';

--
-- Name: problem(integer, text, text, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.problem(status integer, code text, detail text, errors jsonb DEFAULT NULL::jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $$
  select jsonb_strip_nulls(jsonb_build_object(
    'type', 'urn:postroad:problem:' || code,
    'title', upper(left(code, 1)) || replace(substr(code, 2), '_', ' '),
    'status', status,
    'detail', detail,
    'errors', errors))
$$;

--
-- Name: FUNCTION problem(status integer, code text, detail text, errors jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.problem(status integer, code text, detail text, errors jsonb) IS 'An answer that says no (RFC 9457). errors: [{"pointer" or "parameter", "detail"}] for what is wrong in the body, or in path and query.';

--
-- Name: promote_due(smallint, timestamp with time zone, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.promote_due(priority smallint, after timestamp with time zone DEFAULT '-infinity'::timestamp with time zone, max_count integer DEFAULT 1000, OUT promoted integer, OUT reached timestamp with time zone) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
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
    select postroad.queue_again(array_agg(t.message_id), promote_due.priority, array_agg(t.attempt), array_agg(t.rescues))
    from (select x.* from taken as x order by x.due_at, x.message_id) as t
    having count(*) > 0
  )
  select count(*), least(max(t.due_at), clock_timestamp() - interval '2 seconds') into promoted, reached
  from taken as t, (select count(*) from queued) as q;
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
-- Name: purge_events(interval, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.purge_events(retention interval, max_count integer DEFAULT 10000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  before constant timestamptz := clock_timestamp() - retention;
  purged integer;
  total integer := 0;
begin
  perform postroad.need_read_committed();
  if retention < '1 day' then
    raise exception 'retention must be a day at least, got %', retention
      using errcode = 'PR001';
  end if;
  delete from postroad.late_events as e
  where e.ctid = any (array(select x.ctid from postroad.late_events as x where x.occurred_at < before limit max_count));
  get diagnostics purged = row_count;
  total := total + purged;

  -- What was kept since it waited goes when it waits no more and its last event is gone.
  delete from postroad.messages_kept as k
  where k.message_id = any (array(
    select x.message_id
    from postroad.messages_kept as x
    where not exists (select from postroad.scheduled as s where s.message_id = x.message_id)
      and not exists (select from postroad.queue_row_of(x.message_id))
      and x.message_id not in (select u.id from postroad.leases as l, unnest(l.message_ids) as u (id))
      and not exists (select from postroad.late_events as e where e.message_id = x.message_id)
    limit max_count
  ));
  get diagnostics purged = row_count;
  total := total + purged;
  delete from postroad.contents_kept as c
  where not exists (select from postroad.messages_kept as k where k.content_id = c.content_id);
  get diagnostics purged = row_count;
  total := total + purged;

  delete from postroad.system_events as s
  where s.event_id = any (array(select x.event_id from postroad.system_events as x where x.occurred_at < before limit max_count));
  get diagnostics purged = row_count;
  total := total + purged;
  -- What waits for an endpoint that is disabled does not wait for ever.
  delete from postroad.webhook_outbox as o
  where o.delivery_id = any (array(select x.delivery_id from postroad.webhook_outbox as x where x.created_at < before limit max_count));
  get diagnostics purged = row_count;
  total := total + purged;
  delete from postroad.webhook_secrets as s where s.valid_until < clock_timestamp();
  delete from postroad.event_ticks as t where t.at < before;
  delete from postroad.event_minutes as m where m.minute < clock_timestamp() - interval '25 hours';
  delete from postroad.health_log as h where h.changed_at < before;
  return total;
end;
$$;

--
-- Name: FUNCTION purge_events(retention interval, max_count integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.purge_events(retention interval, max_count integer) IS 'Forgets what is older than retention (at least a day) beside the partitions: late events; messages that were kept beyond their day, and their contents, once they wait no more and
have no event left; system events; webhook deliveries; secrets that were replaced. Of each at most max_count a call; returns how many: call it again until it is 0.
Raises PR001 when retention is under a day.';

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
  delete from postroad.http_idempotency as k
  where k.ctid = any (array(
    select x.ctid
    from postroad.http_idempotency as x
    where x.created_at < clock_timestamp() - interval '24 hours'
    limit max_count
    for update skip locked
  ));
  return purged;
end;
$$;

--
-- Name: FUNCTION purge_idempotency_keys(max_count integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.purge_idempotency_keys(max_count integer) IS 'Forgets idempotency keys older than 7 days, at most max_count a call, and those of the HTTP API after 24 hours. Returns how many of the first.';

--
-- Name: purge_reports(integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.purge_reports(max_count integer DEFAULT 10000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  purged integer := 0;
  deleted integer;
begin
  delete from postroad.inbound_messages as i
  where i.ctid = any (array(
    select x.ctid
    from postroad.inbound_messages as x
    where x.received_at < clock_timestamp() - interval '30 days'
    limit max_count
    for update skip locked
  ));
  get diagnostics purged = row_count;
  delete from postroad.suppression_strikes as t
  where t.ctid = any (array(
    select x.ctid
    from postroad.suppression_strikes as x
    where x.occurred_at < clock_timestamp() - coalesce((select max(r.within) from postroad.suppression_rules as r where r.is_on and r.after > 1), '0') - interval '1 day'
      and not exists (select from postroad.suppression_rules as r where r.reason = x.reason and r.is_on and r.after > 1 and r.within is null)
    limit max_count
    for update skip locked
  ));
  get diagnostics deleted = row_count;
  purged := purged + deleted;
  delete from postroad.unplaced_events as x where x.day < current_date - 90;
  return purged;
end;
$$;

--
-- Name: FUNCTION purge_reports(max_count integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.purge_reports(max_count integer) IS 'Forgets ids of inbound messages after 30 days (their events stay as long as all events do), events that no rule of suppression counts any more, and counts of left out events
after 90 days; at most max_count of each a call. Returns how many.';

--
-- Name: purge_webhooks(interval, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.purge_webhooks(retention interval, max_count integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  purged integer;
begin
  with deleted as (
    delete from postroad.webhook_inbox as i
    where i.ctid = any (array(
      select x.ctid
      from postroad.webhook_inbox as x
      where x.received_at < clock_timestamp() - retention
        and not exists (
          select from postroad.webhook_batches as b
          where x.inbox_id = any (b.inbox_ids)       -- nobody has read it yet
        )
      limit max_count
      for update skip locked
    ))
    returning i.inbox_id
  ), forgotten as (
    delete from postroad.webhook_errors as e
    using deleted as d
    where e.inbox_id = d.inbox_id
  )
  select count(*) into purged
  from deleted;
  return purged;
end;
$$;

--
-- Name: FUNCTION purge_webhooks(retention interval, max_count integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.purge_webhooks(retention interval, max_count integer) IS 'Deletes requests in the inbox that are older than retention, at most max_count a call; what waits to be read stays. Returns how many.';

--
-- Name: put_route(text, text, text, text[], text, jsonb, jsonb, jsonb, integer, integer, boolean, boolean); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.put_route(method text, path text, function text, roles text[], summary text, response jsonb, parameters jsonb DEFAULT '{}'::jsonb, request jsonb DEFAULT NULL::jsonb, success integer DEFAULT 200, cost integer DEFAULT 1, tenants boolean DEFAULT true, is_stream boolean DEFAULT false) RETURNS void
    LANGUAGE sql
    AS $$
  insert into postroad.api_routes (method, path, function, roles, tenants, cost, success, is_stream, summary, parameters, request, response)
  values (method, path, function, roles, tenants, cost, success, is_stream, summary, parameters, request, response)
  on conflict on constraint api_routes_pkey do update
  set function = excluded.function, roles = excluded.roles, tenants = excluded.tenants, cost = excluded.cost, success = excluded.success,
    is_stream = excluded.is_stream, summary = excluded.summary, parameters = excluded.parameters, request = excluded.request,
    response = excluded.response, seeded = pg_current_xact_id()
$$;

--
-- Name: FUNCTION put_route(method text, path text, function text, roles text[], summary text, response jsonb, parameters jsonb, request jsonb, success integer, cost integer, tenants boolean, is_stream boolean); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.put_route(method text, path text, function text, roles text[], summary text, response jsonb, parameters jsonb, request jsonb, success integer, cost integer, tenants boolean, is_stream boolean) IS 'Makes an endpoint of the HTTP API, in the file of its function, at each migrate. roles: a caller needs one of them. tenants: whether callers that are bound to a tenant may
call it. cost: what a call takes of the caller''s rate limit. parameters: {name: {"in": "path" or "query", "required", "schema", "description"}}.';

--
-- Name: put_suppressions(text[], text[], bigint[], text[], timestamp with time zone[], text[], timestamp with time zone[], bigint[], uuid[], boolean); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.put_suppressions(addresses text[], channels text[], tenant_ids bigint[], reasons text[], expiries timestamp with time zone[], sources text[], since timestamp with time zone[] DEFAULT '{}'::timestamp with time zone[], event_ids bigint[] DEFAULT '{}'::bigint[], message_ids uuid[] DEFAULT '{}'::uuid[], is_told boolean DEFAULT true) RETURNS integer
    LANGUAGE plpgsql
    AS $$
declare
  now constant timestamptz := clock_timestamp();
  changed integer;
  told jsonb[];
begin
  with entry as (
    insert into postroad.suppression_list as s (address, channel, tenant_id, reason, expires_at, source, created_at, event_id, message_id)
    select distinct on (u.address, u.channel, u.tenant_id)    -- in one order, so that two calls at a time cannot wait for each other
      u.address, u.channel, u.tenant_id, u.reason, u.expires_at, u.source, coalesce(u.since, now), u.event_id, u.message_id
    from unnest(addresses, channels, tenant_ids, reasons, expiries, sources, since, event_ids, message_ids)
      as u (address, channel, tenant_id, reason, expires_at, source, since, event_id, message_id)
    order by u.address, u.channel, u.tenant_id, u.expires_at desc nulls first, postroad.suppression_rank(u.reason) desc, u.since desc
    on conflict on constraint suppression_list_is_unique do update
    set (reason, source, event_id, message_id) = (
        select k.reason, k.source, k.event_id, k.message_id
        from (values
          (excluded.reason, excluded.source, excluded.event_id, excluded.message_id,
            s.expires_at <= now or postroad.suppression_rank(excluded.reason) >= postroad.suppression_rank(s.reason)),
          (s.reason, s.source, s.event_id, s.message_id, true)
        ) as k (reason, source, event_id, message_id, is_stronger)
        where k.is_stronger
        limit 1
      ),
      created_at = excluded.created_at,
      expires_at = case when s.expires_at <= now then excluded.expires_at
        when s.expires_at is not null and excluded.expires_at is not null then greatest(s.expires_at, excluded.expires_at) end
    where s.expires_at < coalesce(excluded.expires_at, 'infinity')
      or postroad.suppression_rank(excluded.reason) > postroad.suppression_rank(s.reason)
      or excluded.created_at > s.created_at and excluded.event_id is not null and excluded.reason = s.reason
    returning s.*
  )
  select count(*), array_agg(jsonb_strip_nulls(to_jsonb(e))) filter (where is_told)
  into changed, told
  from entry as e;
  if told is not null then
    perform postroad.emit_system_event('suppression_added', coalesce(u.entry ->> 'channel', 'all'), u.entry)
    from unnest(told) as u (entry);
  end if;
  return changed;
end;
$$;

--
-- Name: FUNCTION put_suppressions(addresses text[], channels text[], tenant_ids bigint[], reasons text[], expiries timestamp with time zone[], sources text[], since timestamp with time zone[], event_ids bigint[], message_ids uuid[], is_told boolean); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.put_suppressions(addresses text[], channels text[], tenant_ids bigint[], reasons text[], expiries timestamp with time zone[], sources text[], since timestamp with time zone[], event_ids bigint[], message_ids uuid[], is_told boolean) IS 'Puts addresses, spelled as the list keeps them, on the suppression list; one element of each array an entry (an array that is null throughout may be empty). An entry that is
there is never shortened, and keeps the stronger of the two reasons (suppression_rank); one that has expired is replaced. A later event with the same reason renews since when.
Each new or changed entry is a system event suppression_added, unless is_told is false. Returns how many they are.';

--
-- Name: queue_again(uuid[], smallint, smallint[], smallint[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.queue_again(message_ids uuid[], priority smallint, attempts smallint[], rescues smallint[]) RETURNS integer
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
declare
  ids uuid[] := message_ids;
  tried smallint[] := attempts;
  died smallint[] := rescues;
  added integer;
  queued integer := 0;
begin
  loop
    with waiting as (
      select unnest(ids) as message_id, unnest(tried) as attempt, unnest(died) as rescues, generate_subscripts(ids, 1) as nth
    ), sixteen as (                              -- what enqueue_rows gave to one row: see queue_row_of
      select array_agg(w.message_id order by w.message_id) as ids, w.attempt, w.rescues, min(w.nth) as nth
      from waiting as w
      group by left(w.message_id::text, 29), w.attempt, w.rescues, case when w.rescues > 0 then w.message_id end        -- claimed alone
    ), missing as materialized (                 -- in the queue: the index knows the first one of each row only
      select case when t.ids is null then s.ids else array(select unnest(s.ids) except select unnest(t.ids) order by 1) end as ids, s.attempt, s.rescues, s.nth
      from sixteen as s,
      lateral (
        select array_agg(u.id) as ids
        from postroad.message_queue as q, unnest(q.message_id || q.more_ids) as u (id)
        where q.priority = queue_again.priority
          and q.message_id between (left(s.ids[1]::text, 29) || '0000000')::uuid and s.ids[cardinality(s.ids)]
      ) as t
    ), queued as (
      insert into postroad.message_queue as q (seq, message_id, priority, attempt, rescues, size_kb, more_ids)
      select p.seq, s.ids[1], queue_again.priority, s.attempt, s.rescues, postroad.size_kb(coalesce(m.bytes, k.bytes)), nullif(s.ids[2:], '{}')
      from (select x.* from missing as x where x.ids <> '{}' order by x.nth) as s,
      lateral (                                  -- a place for each; the row has that of the last
        select max(n.seq) as seq
        from (select postroad.next_seq(queue_again.priority) as seq from generate_series(1, cardinality(s.ids)) offset 0) as n
      ) as p,
      lateral (
        select max(pg_column_size(m.*)) as bytes
        from postroad.messages as m
        where m.message_id between s.ids[1] and s.ids[cardinality(s.ids)]
          and m.message_id = any (s.ids)
      ) as m,
      lateral (
        select max(pg_column_size(k.*)) as bytes
        from postroad.messages_kept as k
        where m.bytes is null
          and k.message_id = any (s.ids)
      ) as k
      on conflict do nothing
      returning q.message_id, 1 + coalesce(cardinality(q.more_ids), 0) as messages
    ), left_out as (
      select u.id, s.attempt, s.rescues
      from missing as s, unnest(s.ids) as u (id)
      where s.ids[1] not in (select q.message_id from queued as q)
      order by s.nth
    )
    select (select sum(q.messages) from queued as q), array_agg(l.id), array_agg(l.attempt), array_agg(l.rescues) into added, ids, tried, died
    from left_out as l;
    queued := queued + coalesce(added, 0);
    -- Somebody queued one of them meanwhile, or the places that the sequence gives are taken, as after a restore.
    exit when ids is null;
  end loop;
  return queued;
end;
$$;

--
-- Name: FUNCTION queue_again(message_ids uuid[], priority smallint, attempts smallint[], rescues smallint[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.queue_again(message_ids uuid[], priority smallint, attempts smallint[], rescues smallint[]) IS 'Puts messages back at the end of their queue, in the order in which they are given: all ways back lead here. Messages of a bulk send share rows as they did first, up to sixteen each. One that is there
already stays where it is. Returns how many were queued.';

--
-- Name: queue_depth(smallint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.queue_depth(priority smallint) RETURNS TABLE(ready bigint, oldest_at timestamp with time zone)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $_$
declare
  queue_floor bigint;
  first_seq bigint;
  last_seq bigint;
begin
  execute format('select last_value from postroad.queue_floor_p%s', priority) into queue_floor;
  execute format(
    'select q.seq, greatest(postroad.created_at(q.message_id), (select m.scheduled_for from postroad.record_of(q.message_id) as m))
     from postroad.message_queue_p%s as q where q.seq >= $1 order by q.seq limit 1', priority)
  into first_seq, oldest_at using queue_floor;
  execute format(
    'select coalesce(sum(1 + coalesce(cardinality(x.more_ids), 0)), 0) from (select q.more_ids from postroad.message_queue_p%s as q where q.seq >= $1 limit 10000) as x',
    priority)
  into ready using queue_floor;
  if ready >= 10000 then
    execute format('select last_value from postroad.queue_seq_p%s', priority) into last_seq;
    ready := greatest(ready, last_seq - first_seq + 1);
  end if;
  return next;
end;
$_$;

--
-- Name: FUNCTION queue_depth(priority smallint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.queue_depth(priority smallint) IS 'How many messages of a priority can be sent now, and since when the oldest is enqueued, or was to be sent. Exact below 10,000; above that the span of their places, which is at most what was
enqueued since the oldest: no view counts whole tables.';

--
-- Name: queue_figures(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.queue_figures() RETURNS TABLE(priority text, ready bigint, oldest_seconds double precision, is_overdue boolean, scheduled bigint, parked bigint, processing bigint, placed bigint, floor_lag bigint, paused text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $_$
declare
  oldest_at timestamptz;
  queue_floor bigint;
  first_seq bigint;
begin
  for p in 0..4 loop
    priority := 'P' || p;
    select d.ready, d.oldest_at into ready, oldest_at from postroad.queue_depth(p::smallint) as d;
    oldest_seconds := case when oldest_at is not null then greatest(extract(epoch from clock_timestamp() - oldest_at), 0) end;
    is_overdue := coalesce(clock_timestamp() - oldest_at > postroad.overdue_after(p::smallint), false);
    scheduled := postroad.bounded_scheduled(p::smallint, false);
    parked := postroad.bounded_scheduled(p::smallint, true);
    processing := (select coalesce(sum(cardinality(l.message_ids)), 0) from postroad.leases as l where l.priority = p);
    execute format('select s.last_value - case when s.is_called then 0 else 1 end from postroad.queue_seq_p%s as s', p) into placed;
    execute format('select s.last_value from postroad.queue_floor_p%s as s', p) into queue_floor;
    execute format('select q.seq from postroad.message_queue_p%s as q where q.seq >= $1 order by q.seq limit 1', p) into first_seq using queue_floor;
    floor_lag := greatest(coalesce(first_seq, placed + 1) - queue_floor, 0);
    paused := (select x.reason from postroad.pauses as x where x.scope = 'priority' and x.key = 'P' || p);
    return next;
  end loop;
end;
$_$;

--
-- Name: FUNCTION queue_figures(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.queue_figures() IS 'The queue by priority, for monitors: no table is read as a whole. ready: see queue_depth; oldest_seconds: of the message that is next, null without one; scheduled and parked:
see bounded_scheduled; processing: in leases; placed: places given so far, to messages enqueued, due or tried again, those rolled back too; floor_lag: places between the
floor and the first message that waits.';

--
-- Name: message_queue; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.message_queue (
    seq bigint NOT NULL,
    message_id uuid NOT NULL,
    priority smallint NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    rescues smallint DEFAULT 0 NOT NULL,
    size_kb smallint DEFAULT 0 NOT NULL,
    more_ids uuid[]
)
PARTITION BY LIST (priority);

--
-- Name: TABLE message_queue; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.message_queue IS 'Messages that may be sent now: inserted, claimed by a delete, never updated. Those of a bulk send are up to sixteen a row.';

--
-- Name: COLUMN message_queue.seq; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.message_queue.seq IS 'The order of claims, from the sequence of the priority; of a row of several messages, the place of the last of them.';

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

COMMENT ON COLUMN postroad.message_queue.size_kb IS 'Size of the message in KiB, at most 32767; of each, where there are more: a claim is bounded in bytes too.';

--
-- Name: COLUMN message_queue.more_ids; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.message_queue.more_ids IS 'More messages of the same bulk send that wait with it, in their order, at most 15; null: it alone. See postroad.queue_row_of.';

--
-- Name: queue_row_of(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.queue_row_of(message_id uuid) RETURNS SETOF postroad.message_queue
    LANGUAGE sql STABLE ROWS 1
    AS $$
  select q.*
  from postroad.message_queue as q
  where q.message_id between (left(queue_row_of.message_id::text, 29) || '0000000')::uuid and queue_row_of.message_id
    and queue_row_of.message_id = any (q.message_id || q.more_ids)
$$;

--
-- Name: FUNCTION queue_row_of(message_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.queue_row_of(message_id uuid) IS 'The row of the queue that a message waits in, or none. Its first message is among the sixteen that have all but the last digit of the count in common: see enqueue_rows.';

--
-- Name: read_cursor(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.read_cursor(cursor text) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    AS $_$
  select case
    when cursor ~ '^[A-Za-z0-9_-]{21}[AQgw]$' then encode(decode(translate(cursor, '-_', '+/') || '==', 'base64'), 'hex')::uuid
  end
$_$;

--
-- Name: FUNCTION read_cursor(cursor text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.read_cursor(cursor text) IS 'What write_cursor wrote, or null.';

--
-- Name: read_date_time(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.read_date_time(content text) RETURNS timestamp with time zone
    LANGUAGE plpgsql IMMUTABLE STRICT
    AS $_$
declare
  parts text[];
begin
  parts := regexp_match(content, '^([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?)(?:Z|([+-])([0-9]{2}:[0-9]{2}))$', 'i');
  if parts is null or parts[4] > '23:59' then
    return null;
  end if;
  -- A cast would know offsets of up to 16 hours alone.
  return ((parts[1] || ' ' || parts[2])::timestamp - coalesce(parts[3] || parts[4], '0')::interval) at time zone 'UTC';
exception
  when others then                               -- the thirteenth month
    return null;
end;
$_$;

--
-- Name: FUNCTION read_date_time(content text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.read_date_time(content text) IS 'A date and time of RFC 3339 (section 5.6), or null when it is none.';

--
-- Name: read_events(text, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.read_events(consumer text, "limit" integer DEFAULT 1000) RETURNS TABLE(batch_id bigint, event_id bigint, event_type text, occurred_at timestamp with time zone, message_id uuid, channel text, message_type text, tenant_id bigint, recipient_type text, recipient_id bigint, source_type text, source_id bigint, attempt smallint, gateway text, external_id text, reason text, bounce_type text, subject text, detail jsonb)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  reader postroad.consumers;
begin
  if ("limit" between 1 and 100000) is not true then
    raise exception 'limit must be from 1 to 100000, got %', coalesce("limit"::text, 'null')
      using errcode = 'PR001';
  end if;
  if consumer ^@ '_' then
    raise exception 'consumer % is our own', quote_literal(consumer)
      using errcode = 'PR001';
  end if;
  perform postroad.check_consumer_owner(c.consumer, c.registered_by)
  from postroad.consumers as c
  where c.consumer = read_events.consumer;
  select b.* into reader from postroad.open_batch(read_events.consumer, "limit") as b;
  if reader.consumer is null then
    raise exception 'no consumer %', coalesce(quote_literal(read_events.consumer), 'null')
      using errcode = 'PR002', hint = 'Register it first: select postroad.register_consumer(''billing'').';
  end if;
  if reader.batch_xid is null then
    return;
  end if;
  return query
  select reader.batch_id, e.event_id, e.event_type, e.occurred_at, e.message_id, coalesce(m.channel, k.channel), coalesce(m.message_type, k.message_type),
    coalesce(m.tenant_id, k.tenant_id), coalesce(m.recipient_type, k.recipient_type), coalesce(m.recipient_id, k.recipient_id),
    coalesce(m.source_type, k.source_type), coalesce(m.source_id, k.source_id), e.attempt, e.gateway, e.external_id, e.reason, e.bounce_type,
    e.subject,
    case
      when e.message_id is null then e.detail - 'address'
      when e.event_type = 'received' then e.detail           -- who wrote to us
      else nullif(e.detail - 'recipient', '{}')
    end
  from postroad.events_in(reader) as e
  left join lateral (select m.* from postroad.messages as m where m.message_id = e.message_id offset 0) as m on true
  left join postroad.messages_kept as k on m.message_id is null and k.message_id = e.message_id
  order by e.xid, e.key, e.event_id nulls first;
end;
$$;

--
-- Name: FUNCTION read_events(consumer text, "limit" integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.read_events(consumer text, "limit" integer) IS 'The next batch of events for a consumer, at most limit of them (1 to 100,000; default 1,000; all events that one transaction wrote of one message stay together). Call ack_events
with its batch_id once they are dealt with: until then each call returns the same batch, so that a crash loses nothing. Nothing is skipped, though transactions commit in another
order than they write; what a transaction that is still open writes comes after its commit. Order: by transaction, within it by message. No row: nothing new.

event_type is queued (the message was enqueued; event_id is null), sent, deferred, delivered, opened, clicked, converted, bounced, complained, unsubscribed, failed, expired,
cancelled, suppressed, unknown, received; or system.<kind>, with subject and detail instead of a message. No column names a
recipient by address; detail.recipient of received is its sender, and detail.text is in the words of a provider, which may. Raises PR001 (limit), PR002 (not registered), 42501
(insufficient_privilege: registered by another, see register_consumer) and PR011 (its position is of another server).';

--
-- Name: read_place(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.read_place(cursor text) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    AS $$
declare
  place jsonb;
begin
  place := convert_from(decode(translate(cursor, '-_', '+/') || repeat('=', (4 - length(cursor) % 4) % 4), 'base64'), 'UTF8')::jsonb;
  if jsonb_array_length(place) = 3 and jsonb_typeof(place -> 0) = 'string' and jsonb_typeof(place -> 1) = 'string' and (place ->> 2)::bigint is not null then
    return place;
  end if;
  return null;
exception
  when others then                               -- somebody made it up
    return null;
end;
$$;

--
-- Name: FUNCTION read_place(cursor text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.read_place(cursor text) IS 'What write_place wrote, or null.';

--
-- Name: reason_problem(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.reason_problem(reason text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $$
  select postroad.problem(422, reason, 'The message cannot be sent: ' || replace(reason, '_', ' ') || '.', postroad.error_at(case
    when reason like '%recipient%' then '#/recipient'
    when reason like 'subject%' then '#/subject'
    when reason in ('key_reused', 'idempotency_key_too_long') then '#/idempotency_key'
    when reason like 'scheduled_for%' then '#/scheduled_for'
    when reason like '%expire%' then '#/expires_at'
    else '#/body'
  end, replace(reason, '_', ' ')))
$$;

--
-- Name: FUNCTION reason_problem(reason text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.reason_problem(reason text) IS 'Why enqueue found a message invalid, as a problem.';

--
-- Name: recall_call(text, text, bytea); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.recall_call(caller text, key text, fingerprint bytea, OUT state text, OUT status smallint, OUT body jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  known postroad.http_idempotency;
begin
  -- Held to the end of the transaction, which ends with the answer.
  if not pg_try_advisory_xact_lock(1886351221, hashtext(caller || ' ' || key)) then
    state := 'running';
    return;
  end if;
  select i.* into known
  from postroad.http_idempotency as i
  where i.caller = recall_call.caller
    and i.key = recall_call.key;
  if not found then
    state := 'new';
  elsif known.created_at < clock_timestamp() - interval '24 hours' then
    delete from postroad.http_idempotency as i
    where i.caller = recall_call.caller
      and i.key = recall_call.key;
    state := 'new';
  elsif known.fingerprint = recall_call.fingerprint then
    state := 'known';
    status := known.status;
    body := known.body;
  elsif recall_call.fingerprint is null then
    state := 'seen';                             -- a stream, whose fingerprint is known when it is read
  else
    state := 'reused';
  end if;
end;
$$;

--
-- Name: FUNCTION recall_call(caller text, key text, fingerprint bytea, OUT state text, OUT status smallint, OUT body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.recall_call(caller text, key text, fingerprint bytea, OUT state text, OUT status smallint, OUT body jsonb) IS 'What is known of a call with an Idempotency-Key, in the transaction of the call: running (elsewhere, now), new, known (with status and body of the first answer), reused (for
another call), seen (fingerprint is null: ask again with it).';

--
-- Name: recent(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.recent() RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
begin
  return jsonb_build_object(
    'events', (select coalesce(jsonb_agg(to_jsonb(e)), '[]') from postroad.latest_events() as e),
    'failures', (
      select coalesce(jsonb_agg(to_jsonb(f) order by f.count desc, f.reason), '[]')
      from (
        select e.event_type, coalesce(e.reason, 'none') as reason, e.gateway, count(*), max(e.occurred_at) as last_at
        from (
          select x.event_type, x.reason, x.gateway, x.occurred_at
          from postroad.delivery_events as x
          where x.event_type in ('failed', 'bounced')
            and x.occurred_at > clock_timestamp() - interval '1 hour'
          order by x.occurred_at desc
          limit 2000
        ) as e
        group by 1, 2, 3
        order by 4 desc
        limit 12
      ) as f
    ),
    'minutes', (
      select coalesce(jsonb_agg(jsonb_build_array(extract(epoch from g.minute), g.sent, g.failed) order by g.minute), '[]')
      from (
        select m.minute, sum(m.sent) as sent, sum(m.failed) as failed
        from postroad.gateway_minutes as m
        where m.minute > clock_timestamp() - interval '1 hour'
        group by 1
      ) as g
    )
  );
end;
$$;

--
-- Name: FUNCTION recent(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.recent() IS 'What the live page shows beside figures(): the latest events, the last hour''s failures by reason (of the latest 2,000), and what gateways took and refused by minute.';

--
-- Name: record_events(text, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.record_events(gateway text, events jsonb) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  readable jsonb;
  unreadable bigint;
  example jsonb;
begin
  if jsonb_typeof(events) is distinct from 'array' then
    raise exception 'events must be a JSON array'
      using errcode = 'PR001', hint = 'Such as [{"message_id": "…", "event_type": "delivered", "source_key": "…"}].';
  end if;
  begin
    return postroad.record_reports(gateway, events);
  exception
    when data_exception then                     -- one that cannot be read takes none of the others with it
      select coalesce(jsonb_agg(x.event order by x.nth) filter (where x.is_readable), '[]'), count(*) filter (where not x.is_readable),
        (array_agg(x.event order by x.nth) filter (where not x.is_readable))[1]
      into readable, unreadable, example
      from (
        select e.event, e.nth, postroad.is_report(e.event) as is_readable
        from jsonb_array_elements(events) with ordinality as e (event, nth)
        offset 0
      ) as x;
      if unreadable = 0 then
        raise;
      end if;
      perform postroad.leave_out(gateway, 'malformed', unreadable, example);
      return postroad.record_reports(gateway, readable);
  end;
end;
$$;

--
-- Name: FUNCTION record_events(gateway text, events jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.record_events(gateway text, events jsonb) IS 'Appends what a gateway reported, and does what follows from it: a JSON array of {message_id, external_id, event_type, occurred_at, source_key, reason, bounce_type (hard,
soft), bounce_class, recipient, wish (stop, start, help), detail, tenant_id, is_proven, channel}. All but event_type may be missing; bounce_class is the reason where there is no other.

An event is recorded once for each source_key (the provider''s id of it) and recipient. One whose time lies before its message or more than five minutes ahead has the time of
its arrival, the provider''s in detail.provider_at. Without message_id the message is found by external_id for gateways whose name begins with ovh, which do not give our id
back. What a person says without any message (received, unsubscribed, complained, with a recipient) is recorded under an id of its own, which has no row in messages.
detail.recipient is whom it is about, where that is not the message''s recipient; tenant_id is the tenant of a message whose record is gone, and is detail.tenant_id then.

is_proven false: it came over a way that is open to anybody, and no provider vouches for it. It is recorded only of a message that has a record, is of this channel and
was sent (or is under way), never under an id of its own, and only if it is what others can say of a message (no sent, failed, received, no wish). detail.unproven is true, and what
follows from it does so for the tenant of the message alone.

An event that cannot be recorded is left out and takes no other with it: see left_out_events, cause malformed, unknown_event, unknown_message or unproven.
Suppression follows by suppression_rules; START and HELP by sms. Returns how many events were new.';

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
    options jsonb,
    xid bigint DEFAULT txid_current() NOT NULL
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
-- Name: COLUMN messages.xid; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.messages.xid IS 'The transaction that enqueued it: readers go from snapshot to snapshot and skip none.';

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
-- Name: record_reports(text, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.record_reports(gateway text, events jsonb) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $_$
declare
  event_types constant text[] := '{sent,deferred,delivered,opened,clicked,converted,bounced,complained,unsubscribed,failed,expired,cancelled,suppressed,unknown,received}';
  hearsay constant text[] := '{deferred,delivered,opened,clicked,converted,bounced,complained,unsubscribed}';
  now constant timestamptz := clock_timestamp();
  recorded integer;
  reported integer;
  strange integer;
  unproven integer;
  example jsonb;
  unproven_example jsonb;
  followed_ids uuid[];
  followed_events bigint[];
  struck uuid[];
  helped boolean;
begin
  if jsonb_path_exists(events, '$[*] ? (!exists (@.message_id) || @.message_id == null)') then
    events := postroad.place_reports(gateway, events);
  end if;

  with reported as materialized (
    select e.*
    from jsonb_to_recordset(events) as e (
      message_id uuid, external_id text, event_type text, occurred_at timestamptz, source_key text, reason text, bounce_type text, bounce_class text,
      recipient text, wish text, detail jsonb, tenant_id bigint, is_proven boolean, channel text)
    where e.event_type = any (event_types)
  ), placed as materialized (
    select r.*, coalesce(r.reason, r.bounce_class) as stored_reason,
      r.recipient is not null and lower(r.recipient) is distinct from lower(m.recipient)
        and (position('xn--' in lower(r.recipient)) > 0 and lower(postroad.normalize_email(r.recipient)) = lower(m.recipient)) is not true as is_anothers,
      case when m.message_id is null and k.message_id is null then r.tenant_id end as told_tenant_id,
      case
        when r.occurred_at <= now + interval '5 minutes' and r.occurred_at >= postroad.created_at(r.message_id) - interval '5 minutes' then r.occurred_at
        else now
      end as stored_at,
      case
        when r.is_proven is false then
          r.event_type = any (hearsay) and r.wish is null and coalesce(m.channel, k.channel) = r.channel
            and (
              exists (select from postroad.delivery_events as e where e.message_id = r.message_id and e.event_type in ('sent', 'unknown'))
              or r.message_id in (select u.id from postroad.leases as l, unnest(l.message_ids) as u (id))      -- under way: it may be faster than our own word of it
            )
        -- A message without a record is one whose day is gone, or none of ours.
        else m.message_id is not null or postroad.created_at(r.message_id) < now - interval '1 day' and substr(r.message_id::text, 15, 1) = '7'
          or exists (select from postroad.inbound_messages as i where i.message_id = r.message_id)
      end as is_ours,
      r.event_type = 'delivered' and exists (
        select from postroad.suppression_strikes as t
        where t.address = case m.channel when 'email' then lower(m.recipient) else m.recipient end
          and t.channel = m.channel
      ) as is_struck
    from reported as r
    left join lateral (select m.* from postroad.messages as m where m.message_id = r.message_id offset 0) as m on true
    left join postroad.messages_kept as k on m.message_id is null and k.message_id = r.message_id
  ), added as (
    insert into postroad.delivery_events (message_id, event_type, gateway, external_id, reason, bounce_type, source_key, occurred_at, detail)
    select p.message_id, p.event_type, record_reports.gateway, left(p.external_id, 255), left(p.stored_reason, 100),
      case when p.bounce_type in ('hard', 'soft') then p.bounce_type end,
      case when octet_length(p.source_key) > 255 then 'sha256:' || encode(sha256(convert_to(p.source_key, 'UTF8')), 'hex') else p.source_key end
        || case when p.is_anothers then '#' || left(encode(sha256(convert_to(lower(p.recipient), 'UTF8')), 'hex'), 16) else '' end,
      p.stored_at,
      case
        when not p.is_anothers and p.wish is null and p.is_proven is not false and p.told_tenant_id is null and p.stored_at = p.occurred_at
          and (p.reason is null or p.bounce_class is null or p.reason = p.bounce_class) and (p.detail is null or jsonb_typeof(p.detail) = 'object') then p.detail
        else nullif(case when jsonb_typeof(p.detail) = 'object' then p.detail else jsonb_strip_nulls(jsonb_build_object('text', p.detail)) end
          || jsonb_strip_nulls(jsonb_build_object(
            'recipient', case when p.is_anothers then left(p.recipient, 4096) end,
            'wish', case when p.wish in ('stop', 'start', 'help') then p.wish end,
            'tenant_id', p.told_tenant_id,
            'unproven', case when p.is_proven is false then true end,
            'class', case when p.bounce_class <> p.reason then p.bounce_class end,
            'provider_at', case when p.stored_at <> p.occurred_at then p.occurred_at end)), '{}')
      end
    from placed as p
    where p.is_ours
    order by p.message_id, p.event_type, p.source_key      -- in one order, so that two calls with the same events cannot wait for each other
    on conflict do nothing
    returning event_id, message_id, event_type, detail
  )
  select count(*),
    array_agg(a.message_id) filter (where f.is_followed), array_agg(a.event_id) filter (where f.is_followed),
    bool_or(a.detail ->> 'wish' in ('help', 'start')),
    (select count(*) from reported),
    (select count(*) from placed as p where p.is_ours is not true and p.is_proven is not false),
    (select to_jsonb(p) from placed as p where p.is_ours is not true and p.is_proven is not false limit 1),
    (select count(*) from placed as p where p.is_ours is not true and p.is_proven is false),
    (select to_jsonb(p) from placed as p where p.is_ours is not true and p.is_proven is false limit 1)
  into recorded, followed_ids, followed_events, helped, reported, strange, example, unproven, unproven_example
  from added as a,
    lateral (
      select a.event_type in ('bounced', 'failed', 'complained', 'unsubscribed')
        or a.detail ? 'wish'
        or a.event_type = 'delivered' and a.message_id in (select p.message_id from placed as p where p.is_struck)
    ) as f (is_followed);

  if followed_ids is not null then
    perform postroad.follow_events(followed_ids, followed_events);
  end if;
  if helped then
    perform postroad.answer_wishes(followed_ids, followed_events);
  end if;
  if reported < jsonb_array_length(events) then
    perform postroad.leave_out(gateway, 'unknown_event', jsonb_array_length(events) - reported, (
      select e.event
      from jsonb_array_elements(events) as e (event)
      where (e.event ->> 'event_type' = any (event_types)) is not true
      limit 1
    ));
  end if;
  if strange > 0 then
    perform postroad.leave_out(gateway, 'unknown_message', strange, example);
  end if;
  if unproven > 0 then
    perform postroad.leave_out(gateway, 'unproven', unproven, unproven_example);
  end if;
  return recorded;
end;
$_$;

--
-- Name: FUNCTION record_reports(gateway text, events jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.record_reports(gateway text, events jsonb) IS 'As record_events, of events that can all be read. Raises what a cast raises (class 22) when one cannot.';

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
-- Name: register_consumer(text, timestamp with time zone, text[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.register_consumer(consumer text, since timestamp with time zone DEFAULT NULL::timestamp with time zone, event_types text[] DEFAULT NULL::text[]) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  wrong text;
  begins txid_snapshot;
begin
  if (consumer ~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}$') is not true then
    raise exception 'not a name for a consumer: %', coalesce(quote_literal(consumer), 'null')
      using errcode = 'PR001', hint = 'Up to 63 letters, digits, _ . : and -, of which the first is a letter or digit.';
  end if;
  select t.name into wrong
  from unnest(event_types) as t (name)
  where (t.name !~ '^system\.(\*|[a-z][a-z0-9_]*)$'
    and t.name <> all ('{*,queued,sent,deferred,delivered,opened,clicked,converted,bounced,complained,unsubscribed,failed,expired,cancelled,suppressed,unknown,received}')) is not false
  limit 1;
  if found or cardinality(event_types) = 0 then
    raise exception 'unknown event type %', coalesce(quote_literal(wrong), 'null')
      using errcode = 'PR002', hint = '*, queued, sent, deferred, delivered, opened, clicked, converted, bounced, complained, unsubscribed, failed, expired, cancelled, suppressed, '
        || 'unknown, received; system.* or system.<kind>.';
  end if;
  if since is null then
    begins := postroad.event_snapshot();
  else
    begins := coalesce(
      (select t.snapshot from postroad.event_ticks as t where t.at <= since order by t.at desc limit 1),
      '3:3:');                                   -- all that is kept
  end if;
  insert into postroad.consumers (consumer, event_types, seen, seen_at, registered_by)
  values (consumer, event_types, begins,
    case when since is null then clock_timestamp() else least(greatest(since, 'epoch'), clock_timestamp()) end, postroad.consumer_owner())
  on conflict on constraint consumers_pkey do nothing;
  return found;
end;
$_$;

--
-- Name: FUNCTION register_consumer(consumer text, since timestamp with time zone, event_types text[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.register_consumer(consumer text, since timestamp with time zone, event_types text[]) IS 'Registers a reader of events. since: null, the default, begins now; a time begins with what was committed after it, and up to a minute before, as far as it is kept; -infinity
with all that is kept. event_types: null, the default, is every event of messages; else those, such as {delivered,bounced,system.*}; ''*'' is every one of messages.
False when it is registered already, and nothing is changed then. It belongs to the database user who registers it, or over HTTP to the caller: nobody else but
operators can read it or end it. Raises PR001 (name) and PR002 (unknown event type).';

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
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
declare
  lease postroad.leases;
  released integer;
begin
  perform postroad.need_read_committed();
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
    select postroad.queue_again(array_agg(u.message_id), lease.priority, array_agg(u.attempt), array_agg(lease.rescues)) into released
    from postroad.unsent_of(lease) as u;
  else
    insert into postroad.scheduled (message_id, due_at, priority, attempt, rescues)
    select u.message_id, clock_timestamp() + delay, lease.priority, u.attempt, lease.rescues
    from postroad.unsent_of(lease) as u
    on conflict do nothing;
    get diagnostics released = row_count;
  end if;
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
-- Name: remember_call(text, text, bytea, smallint, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.remember_call(caller text, key text, fingerprint bytea, status smallint, body jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  if status >= 400 then
    return false;                                -- nothing was done: it may be called again, corrected
  end if;
  insert into postroad.http_idempotency (caller, key, fingerprint, status, body)
  values (caller, key, fingerprint, status, body - '{key,secret}'::text[]);   -- a secret is shown once, and kept nowhere
  return true;
end;
$$;

--
-- Name: FUNCTION remember_call(caller text, key text, fingerprint bytea, status smallint, body jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.remember_call(caller text, key text, fingerprint bytea, status smallint, body jsonb) IS 'Keeps the answer to a call with an Idempotency-Key for 24 hours, in the transaction of the call, unless it was a refusal; of a secret that was made (key, secret) the
second answer says nothing.';

--
-- Name: remove_webhook_endpoint(bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.remove_webhook_endpoint(endpoint_id bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  removed text;
begin
  delete from postroad.webhook_endpoints as e
  where e.endpoint_id = remove_webhook_endpoint.endpoint_id
  returning split_part(e.url, '?', 1) into removed;
  if removed is null then
    return false;
  end if;
  perform postroad.audit('remove_webhook_endpoint', endpoint_id::text, jsonb_build_object('url', removed));
  return true;
end;
$$;

--
-- Name: FUNCTION remove_webhook_endpoint(endpoint_id bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.remove_webhook_endpoint(endpoint_id bigint) IS 'Forgets an endpoint, its secrets and its deliveries. False when there is no such endpoint.';

--
-- Name: replay_webhooks(text, timestamp with time zone, boolean, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.replay_webhooks(gateway text DEFAULT NULL::text, since timestamp with time zone DEFAULT (clock_timestamp() - '1 day'::interval), only_errors boolean DEFAULT true, max_count integer DEFAULT 10000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  replayed integer;
begin
  if max_count < 1 then
    raise exception 'max_count must be 1 or more, got %', max_count
      using errcode = 'PR001';
  end if;
  perform pg_advisory_xact_lock(1886351220, 4);    -- one at a time: what another one puts back is seen
  with chosen as materialized (
    select i.inbox_id, i.gateway, octet_length(i.body) as size_bytes, x.inbox_id is not null as is_error
    from postroad.webhook_inbox as i
    left join postroad.webhook_errors as x using (inbox_id)
    where (replay_webhooks.gateway is null or i.gateway = replay_webhooks.gateway)
      and i.received_at >= since
      and (x.inbox_id is not null or not only_errors)
      and not exists (
        select from postroad.webhook_batches as b
        where i.inbox_id = any (b.inbox_ids)
      )
    order by i.inbox_id
    limit max_count
  ), forgiven as (
    delete from postroad.webhook_errors as x
    using chosen as c
    where x.inbox_id = c.inbox_id
  ), sized as (
    select c.inbox_id, c.gateway,
      sum(c.size_bytes + 40000) over (partition by c.gateway order by c.inbox_id) / 8000000 as part   -- 200 small ones, or 8 MB
    from chosen as c
  ), batched as (
    insert into postroad.webhook_batches (gateway, is_replay, inbox_ids)
    select s.gateway, true, array_agg(s.inbox_id order by s.inbox_id)
    from sized as s
    group by s.gateway, floor(s.part)
  ), counted as (
    update postroad.webhook_counts as k
    set parsed = k.parsed - g.parsed, errors = k.errors - g.errors
    from (
      select c.gateway, count(*) filter (where not c.is_error) as parsed, count(*) filter (where c.is_error) as errors
      from chosen as c
      group by c.gateway
    ) as g
    where k.gateway = g.gateway
  )
  select count(*) into replayed
  from chosen;
  if replayed > 0 then
    perform postroad.audit('replay_webhooks', format('%s requests', replayed), null, jsonb_strip_nulls(jsonb_build_object(
      'gateway', gateway, 'since', since, 'only_errors', only_errors, 'max_count', max_count, 'replayed', replayed)));
  end if;
  return replayed;
end;
$$;

--
-- Name: FUNCTION replay_webhooks(gateway text, since timestamp with time zone, only_errors boolean, max_count integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.replay_webhooks(gateway text, since timestamp with time zone, only_errors boolean, max_count integer) IS 'Has stored requests read again that came since a time (default: the last day), of one gateway if given: those that could not be read, or all (only_errors false); at most
max_count, the oldest first. Events that are there already stay as they are. Returns how many. Servers read them within some seconds.';

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
    perform postroad.emit_system_event('gateway_health_changed', gateway,
      jsonb_strip_nulls(jsonb_build_object('state', case when is_open then 'open' else 'closed' end, 'cause', cause)));
  end if;
  perform pg_notify('postroad_health', gateway);
end;
$$;

--
-- Name: FUNCTION report_breaker(gateway text, is_open boolean, cause text, open_ms bigint, worker_id bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.report_breaker(gateway text, is_open boolean, cause text, open_ms bigint, worker_id bigint) IS 'Tells all nodes that a gateway''s breaker opened, for open_ms until it may be probed, or closed. A change is a row in health_log and a system event; NOTIFY postroad_health carries the
gateway''s name.';

--
-- Name: report_limited_callers(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.report_limited_callers(callers jsonb) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return postroad.tell_rate_limits((
    select jsonb_agg(jsonb_build_object(
      'kind', case when c.caller like 'key:%' then 'api_key' else 'token' end,
      'name', case when c.caller like 'key:%' then substr(c.caller, 5) else left(encode(sha256(convert_to(c.caller, 'UTF8')), 'hex'), 16) end,   -- the subject of a token may be an address
      'tenant_id', c.tenant_id,
      'limit', c."limit",
      'window_seconds', 1,
      'retry_after_seconds', c.retry_after_seconds,
      'lasting_seconds', c.lasting_seconds))
    from jsonb_to_recordset(callers) as c (
      caller text, tenant_id bigint, "limit" bigint, retry_after_seconds double precision, lasting_seconds double precision)
  ));
end;
$$;

--
-- Name: FUNCTION report_limited_callers(callers jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.report_limited_callers(callers jsonb) IS 'Tells that callers of the HTTP API got 429: a system event rate_limit_exceeded for each, at most once a minute, however many servers there are. callers: [{"caller": key:12 or jwt:subject,
"tenant_id", "limit" a second, "retry_after_seconds", "lasting_seconds"}]. Of a token the event has a part of the SHA-256 of jwt:subject. Returns how many events there were.';

--
-- Name: report_throttled(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.report_throttled(throttled jsonb) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return postroad.tell_rate_limits((
    select jsonb_agg(jsonb_build_object(
      'kind', case when t.domain is null then 'gateway' else 'domain' end,
      'name', coalesce(t.domain, t.gateway),
      'gateway', t.gateway,
      'reason', t.reason,
      'code', t.code,
      'retry_after_seconds', t.retry_after_seconds,
      'lasting_seconds', t.lasting_seconds))
    from jsonb_to_recordset(throttled) as t (
      gateway text, domain text, reason text, code text, retry_after_seconds double precision, lasting_seconds double precision)
  ));
end;
$$;

--
-- Name: FUNCTION report_throttled(throttled jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.report_throttled(throttled jsonb) IS 'Tells that gateways throttle us: a system event rate_limit_exceeded for each gateway, or each gateway and destination domain, at most once a minute. throttled: [{"gateway", "domain"
(where it is the destination''s limit), "reason", "code" (the provider''s), "retry_after_seconds", "lasting_seconds"}]. Returns how many events there were.';

--
-- Name: request_problem(text, text, jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.request_problem(method text, path text, call jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  route record;
  errors jsonb := '[]';
  name text;
  given jsonb;
  wanted jsonb;
begin
  select r.parameters, r.request into route
  from postroad.api_routes as r
  where r.method = request_problem.method
    and r.path = request_problem.path;
  for name, given in select p.key, p.value from jsonb_each(call -> 'parameters') as p loop
    wanted := route.parameters -> name -> 'schema';
    if wanted ->> 'type' = 'integer' and given #>> '{}' ~ '^-?[0-9]{1,18}$' then
      given := to_jsonb((given #>> '{}')::bigint);
    end if;
    errors := errors || case
      when wanted is null then jsonb_build_array(jsonb_build_object('parameter', left(name, 100), 'detail', 'is not known here'))
      else (
        select coalesce(jsonb_agg(jsonb_build_object('parameter', request_problem_name.name, 'detail', e.error ->> 'detail')), '[]')
        from (select name) as request_problem_name (name), jsonb_array_elements(postroad.json_problems(wanted, given)) as e (error)
      )
    end;
  end loop;
  for name in select p.key from jsonb_each(route.parameters) as p where p.value -> 'required' = 'true' and not call -> 'parameters' ? p.key loop
    errors := errors || jsonb_build_array(jsonb_build_object('parameter', name, 'detail', 'is missing'));
  end loop;
  if route.request is not null then
    if call -> 'body' is null or call -> 'body' = 'null' then
      errors := errors || postroad.error_at('#', 'is missing');
    else
      errors := errors || postroad.json_problems(route.request, call -> 'body');
    end if;
  end if;
  if errors = '[]' then
    return null;
  end if;
  return postroad.problem(400, 'invalid_request', 'The request is not as the route wants it; see errors.', errors);
end;
$_$;

--
-- Name: FUNCTION request_problem(method text, path text, call jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.request_problem(method text, path text, call jsonb) IS 'What is wrong with a call by the schemas of its route, as a problem, or null.';

--
-- Name: rescue(bigint, timestamp with time zone); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.rescue(worker_id bigint, heartbeat_at timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
declare
  lease record;
  suspects integer;
  nth integer := 0;
  rescued integer := 0;
begin
  perform postroad.need_read_committed();
  delete from postroad.worker_sessions as w                   -- from here on it claims nothing
  where w.worker_id = rescue.worker_id
    and (
      w.heartbeat_at = rescue.heartbeat_at
      or w.worker_id not in (select h.id from postroad.held_worker_ids() as h (id))
    );
  if not found and exists (select from postroad.worker_sessions as w where w.worker_id = rescue.worker_id) then
    return 0;                                                 -- its heart beat since it was looked at
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
-- Name: FUNCTION rescue(worker_id bigint, heartbeat_at timestamp with time zone); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.rescue(worker_id bigint, heartbeat_at timestamp with time zone) IS 'Takes a dead worker''s leases and requeues what has no outcome: one whose advisory lock is free, or, given the heartbeat that its caller saw for too long, one that has no later one.
Returns how many messages the leases had; 0, and nothing is done, when the worker is alive after all.';

--
-- Name: rescue_lease(uuid, interval); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.rescue_lease(lease_id uuid, apart interval) RETURNS integer
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
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
    select u.message_id, u.attempt,
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
  ), told as (
    insert into postroad.delivery_events (message_id, lease_id, event_type, reason, detail)
    select u.message_id, lease.lease_id, 'deferred', 'worker_crashed',
      case
        -- Of what may not go out twice there would be an intent.
        when postroad.on_unknown(m.message_type, m.options, m.content_id) = 'resend' then '{"in_doubt": true}'::jsonb
      end
    from unsent as u
    left join lateral (select x.* from postroad.record_of(u.message_id) as x) as m on true
    where not u.held and not u.hopeless
    on conflict do nothing
  ), put_off as (
    insert into postroad.scheduled (message_id, due_at, priority, attempt, rescues)
    select u.message_id, clock_timestamp() + apart, lease.priority, u.attempt, lease.rescues + 1
    from unsent as u
    where not u.held and u.suspected
    on conflict do nothing
  ), requeued as (
    select postroad.queue_again(array_agg(u.message_id), lease.priority, array_agg(u.attempt), array_agg((lease.rescues + 1)::smallint))
    from unsent as u
    where not u.held and not u.hopeless and not u.suspected
  )
  select count(*) into rescued
  from unsent as u, (select count(*) from requeued) as q;
  delete from postroad.intents as i where i.lease_id = lease.lease_id;
  delete from postroad.leases as l where l.lease_id = lease.lease_id;
  perform postroad.wake(lease.priority);
  return rescued;
end;
$$;

--
-- Name: FUNCTION rescue_lease(lease_id uuid, apart interval); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.rescue_lease(lease_id uuid, apart interval) IS 'Requeues the messages of a lease that have no event of it, each with one rescue more and an event that says so (deferred, reason worker_crashed; in_doubt in its detail where it may have
gone out); those with an intent become unknown, those rescued for the third time failed, reason worker_crashed. But where several were rescued so often at once, one of them is to blame and the others were beside it: given an interval, they are due
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
  perform postroad.reset_own_consumers();
end;
$$;

--
-- Name: FUNCTION reset_floors(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.reset_floors() IS 'Starts floors over that lie above a row or above their sequence, and raises sequences to the highest row: after a restore or a logical copy they lie. So do the positions of our own
readers of events. Called by migrate and by each newly elected maintainer.';

--
-- Name: reset_own_consumers(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.reset_own_consumers() RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  present constant txid_snapshot := postroad.event_snapshot();
begin
  update postroad.consumers as c
  set seen = present, seen_at = clock_timestamp(), upto = null, upto_at = null, at_xid = null, at_key = null, batch_xid = null, batch_key = null, split_last = null
  where c.consumer ^@ '_'
    and txid_snapshot_xmax(c.seen) > txid_snapshot_xmax(present);
  if found then
    delete from postroad.event_tallies;
    perform postroad.emit_system_event('positions_lost', 'restored from a dump');
  end if;
end;
$$;

--
-- Name: FUNCTION reset_own_consumers(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.reset_own_consumers() IS 'After a restore from a dump into another server, whose transactions have lower numbers: those who count and who post go on with what is new, and a system event says so. Readers of
apps are told by PR011.';

--
-- Name: resume(text, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.resume(scope text, key text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
declare
  resumed bigint;
  why text;
  slices bigint;
begin
  perform postroad.need_read_committed();
  if (scope = any ('{priority,channel,gateway,source,tenant,domain}')) is not true then
    raise exception 'unknown scope %', coalesce(quote_literal(scope), 'null')
      using errcode = 'PR002', hint = 'Scopes: priority, channel, gateway, source, tenant, domain.';
  end if;
  delete from postroad.pauses as x
  where x.scope = resume.scope
    and x.key = case resume.scope when 'domain' then postroad.normalize_domain(resume.key) when 'gateway' then postroad.gateway_named(resume.key) else resume.key end
  returning x.pause_id, x.reason into resumed, why;   -- waits for a completion that is parking messages; what follows sees them
  if resumed is null then
    return false;
  end if;
  perform postroad.audit('resume', scope || ' ' || key, jsonb_build_object('reason', why));
  with parked as (
    delete from postroad.scheduled as s
    where s.pause_id = resumed
    returning s.message_id, s.priority, s.attempt, s.rescues
  )
  select count(*) into slices
  from (                                         -- by the ten thousand: memory does not grow with what was parked
    select postroad.queue_again(array_agg(p.message_id order by p.nth), p.priority, array_agg(p.attempt order by p.nth), array_agg(p.rescues order by p.nth))
    from (select x.*, row_number() over (partition by x.priority order by x.message_id) as nth from parked as x) as p
    group by p.priority, p.nth / 10000
  ) as s;
  for p in 0..4 loop
    perform postroad.wake(p::smallint);
  end loop;
  return true;
end;
$$;

--
-- Name: FUNCTION resume(scope text, key text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.resume(scope text, key text) IS 'Ends a pause and queues what it parked. False when there is no such pause. Raises PR002 (unknown scope), and PR001 in a transaction that is not read committed.';

--
-- Name: retry(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.retry(message_id uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  before constant text := postroad.retry_one(message_id);
begin
  if before is null then
    return false;
  end if;
  perform postroad.audit('retry', message_id::text, jsonb_build_object('status', before), jsonb_build_object('status', (select s.status from postroad.status(retry.message_id) as s)));
  return true;
end;
$$;

--
-- Name: FUNCTION retry(message_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.retry(message_id uuid) IS 'Queues a message again that failed, bounced, expired, was cancelled, suppressed or is unknown, with all its attempts. Expiry and suppression are checked anew, so fix those
first; one whose scheduled_for is still to come waits for it. False when it is in none of these states.';

--
-- Name: retry_failed(timestamp with time zone, text, text, text, integer); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.retry_failed(since timestamp with time zone DEFAULT (clock_timestamp() - '1 day'::interval), channel text DEFAULT NULL::text, gateway text DEFAULT NULL::text, reason text DEFAULT NULL::text, max_count integer DEFAULT 10000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
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
    if postroad.retry_one(failed, '{failed}') is not null then
      retried := retried + 1;
    end if;
  end loop;
  if retried > 0 then
    perform postroad.audit('retry_failed', format('%s messages', retried), null, jsonb_strip_nulls(jsonb_build_object(
      'since', since, 'channel', channel, 'gateway', gateway, 'reason', reason, 'retried', retried)));
  end if;
  return retried;
end;
$$;

--
-- Name: FUNCTION retry_failed(since timestamp with time zone, channel text, gateway text, reason text, max_count integer); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.retry_failed(since timestamp with time zone, channel text, gateway text, reason text, max_count integer) IS 'Queues again what failed since a time (default: the last day) and still is failed, the oldest first, at most max_count (default 10,000), of one channel, gateway or reason if given. Returns how many.';

--
-- Name: retry_one(uuid, text[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.retry_one(message_id uuid, statuses text[] DEFAULT '{failed,bounced,expired,cancelled,suppressed,unknown}'::text[]) RETURNS text
    LANGUAGE plpgsql
    AS $$
declare
  known record;
  later timestamptz;
begin
  perform postroad.need_read_committed();
  perform pg_advisory_xact_lock(1886351220, 3);    -- one at a time: while a second one waited, a worker could claim what the first one queued
  select s.status, s.priority into known from postroad.status(message_id) as s;
  if not found or known.status <> all (statuses) then
    return null;
  end if;
  select m.scheduled_for into later from postroad.record_of(retry_one.message_id) as m where m.scheduled_for > clock_timestamp();
  if found then                                    -- it waits for its time again
    insert into postroad.scheduled (message_id, due_at, priority)
    values (message_id, later, right(known.priority, 1)::smallint)
    on conflict do nothing;
    return case when found then known.status end;
  end if;
  if postroad.queue_again(array[message_id], right(known.priority, 1)::smallint, '{0}', '{0}') = 0 then
    return null;
  end if;
  perform postroad.wake(right(known.priority, 1)::smallint);
  return known.status;
end;
$$;

--
-- Name: FUNCTION retry_one(message_id uuid, statuses text[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.retry_one(message_id uuid, statuses text[]) IS 'What retry does with a message of these statuses, without a note of who did it. Returns the status before, or null.';

--
-- Name: revoke_api_key(bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.revoke_api_key(key_id bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  revoked text;
begin
  update postroad.api_keys as k
  set revoked_at = clock_timestamp()
  where k.key_id = revoke_api_key.key_id
    and k.revoked_at is null
  returning k.name into revoked;
  if revoked is null then
    return false;
  end if;
  perform postroad.audit('revoke_api_key', key_id::text, jsonb_build_object('name', revoked));
  return true;
end;
$$;

--
-- Name: FUNCTION revoke_api_key(key_id bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.revoke_api_key(key_id bigint) IS 'Ends a key of the HTTP API, on all servers within two seconds. False when there is no such key, or it was revoked before.';

--
-- Name: rotate_webhook_secret(bigint, text, interval); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.rotate_webhook_secret(endpoint_id bigint, secret text DEFAULT NULL::text, old_valid_for interval DEFAULT '24:00:00'::interval) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  signing_secret constant text := postroad.checked_secret(secret);
begin
  if (old_valid_for >= '0') is not true then
    raise exception 'old_valid_for must not be negative, got %', coalesce(old_valid_for::text, 'null')
      using errcode = 'PR001';
  end if;
  perform from postroad.webhook_endpoints as e where e.endpoint_id = rotate_webhook_secret.endpoint_id for update;
  if not found then
    raise exception 'no endpoint %', coalesce(endpoint_id::text, 'null')
      using errcode = 'PR002', hint = 'See: table postroad.outbound_stats.';
  end if;
  update postroad.webhook_secrets as s
  set valid_until = clock_timestamp() + old_valid_for
  where s.endpoint_id = rotate_webhook_secret.endpoint_id
    and s.valid_until is null;
  insert into postroad.webhook_secrets (endpoint_id, secret)
  values (endpoint_id, signing_secret);
  perform postroad.audit('rotate_webhook_secret', endpoint_id::text);
  return signing_secret;
end;
$$;

--
-- Name: FUNCTION rotate_webhook_secret(endpoint_id bigint, secret text, old_valid_for interval); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.rotate_webhook_secret(endpoint_id bigint, secret text, old_valid_for interval) IS 'Gives an endpoint a new secret (made if null) and returns it. The old one signs too for old_valid_for (24 hours), so that the receiver may change over at any time.
Raises PR001 (secret, or a negative time) and PR002 (no such endpoint).';

--
-- Name: route_of(postroad.messages); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.route_of(m postroad.messages, OUT verdict text, OUT reason text) RETURNS record
    LANGUAGE plpgsql STABLE
    AS $$
declare
  chosen constant text := postroad.gateway_named(m.gateway);
  elsewhere text;
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
  elsif m.gateway is not null then
    elsewhere := format('%s, chosen by the caller, is no gateway of a worker for %s', m.gateway, m.channel);
  end if;
  if cardinality(gateways) = 0 then
    verdict := 'wait';
    reason := concat_ws('; ', format('no_gateway: no worker has a gateway for %s', m.channel), elsewhere);
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
      elsewhere,
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
    -- A breaker is open for a minute at most before a probe: what says more was written before the clock was put back.
    case when s.open_until between clock_timestamp() and clock_timestamp() + interval '1 minute'
      then extract(epoch from s.open_until - clock_timestamp()) * 1000 else 0 end::bigint, s.weight
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
  before constant integer := (select s.weight from postroad.gateway_states as s where s.gateway = named);
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
  perform postroad.audit('set_gateway_weight', named, jsonb_build_object('weight', before), jsonb_build_object('weight', weight));
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
  before jsonb;
  key constant text := case when limit_type = 'domain' then postroad.normalize_domain(btrim(limit_key)) else btrim(limit_key) end;
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
  select to_jsonb(r) - '{limit_type,limit_key,updated_at}'::text[] into before
  from postroad.rate_limits as r
  where r.limit_type = set_rate_limit.limit_type and r.limit_key = key;
  perform postroad.audit('set_rate_limit', limit_type || ' ' || key, before, jsonb_build_object(
    'per_second', per_second, 'per_minute', per_minute, 'per_hour', per_hour, 'per_day', per_day));
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
-- Name: set_sms_reply(text, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.set_sms_reply(wish text, body text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  before constant text := (select r.body from postroad.sms_replies as r where r.wish = set_sms_reply.wish);
begin
  if (wish = any ('{help,start}')) is not true then
    raise exception 'unknown wish %', coalesce(quote_literal(wish), 'null')
      using errcode = 'PR002', hint = 'Wishes: help, start. STOP is confirmed by the provider: nothing goes to a suppressed number.';
  end if;
  perform postroad.audit('set_sms_reply', wish, jsonb_build_object('body', before), jsonb_build_object('body', nullif(btrim(body), '')));
  if coalesce(btrim(body), '') = '' then
    delete from postroad.sms_replies as r where r.wish = set_sms_reply.wish;
    return;
  end if;
  insert into postroad.sms_replies (wish, body)
  values (wish, body)
  on conflict on constraint sms_replies_pkey do update
  set body = excluded.body;
end;
$$;

--
-- Name: FUNCTION set_sms_reply(wish text, body text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.set_sms_reply(wish text, body text) IS 'Sets what is answered by SMS to HELP (wish help) or START (wish start), at most once an hour to a number; null: nothing, which is the default, since many providers answer
themselves. Raises PR002 for another wish.';

--
-- Name: set_suppression_rule(text, boolean, integer, interval, interval, boolean, boolean); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.set_suppression_rule(reason text, is_on boolean DEFAULT true, after integer DEFAULT 1, within interval DEFAULT NULL::interval, expires_after interval DEFAULT NULL::interval, every_channel boolean DEFAULT false, every_tenant boolean DEFAULT true) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  before jsonb;
begin
  if (after between 1 and 1000) is not true or within <= '0' or expires_after <= '0' or num_nulls(is_on, every_channel, every_tenant) > 0 then
    raise exception 'a rule needs after from 1 to 1000, and intervals above 0'
      using errcode = 'PR001', hint = 'Such as set_suppression_rule(''soft_bounce'', after => 3, within => ''30 days'', expires_after => ''30 days'').';
  end if;
  select to_jsonb(r) - 'reason' into before
  from postroad.suppression_rules as r
  where r.reason = set_suppression_rule.reason;
  update postroad.suppression_rules as r
  set is_on = set_suppression_rule.is_on, after = set_suppression_rule.after, within = set_suppression_rule.within,
    expires_after = set_suppression_rule.expires_after, every_channel = set_suppression_rule.every_channel, every_tenant = set_suppression_rule.every_tenant
  where r.reason = set_suppression_rule.reason;
  if not found then
    raise exception 'unknown reason %', coalesce(quote_literal(reason), 'null')
      using errcode = 'PR002', hint = 'Reasons: hard_bounce, soft_bounce, invalid_token, complaint, unsubscribe, stop, opted_out.';
  end if;
  perform postroad.audit('set_suppression_rule', reason, before, (
    select to_jsonb(r) - 'reason' from postroad.suppression_rules as r where r.reason = set_suppression_rule.reason
  ));
end;
$$;

--
-- Name: FUNCTION set_suppression_rule(reason text, is_on boolean, after integer, within interval, expires_after interval, every_channel boolean, every_tenant boolean); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.set_suppression_rule(reason text, is_on boolean, after integer, within interval, expires_after interval, every_channel boolean, every_tenant boolean) IS 'Sets which events suppress a recipient: reason is hard_bounce, soft_bounce, invalid_token (push), complaint, unsubscribe, stop (SMS) or opted_out (a carrier''s word).
is_on: false for not at all. after: so many messages with such an event (default 1), not older than within (default: any), none delivered since. expires_after: how long
(default: for good). every_channel: on all channels, not that of the event only. every_tenant: false for the message''s tenant only. What is on the list stays as it is.
Raises PR001 (after below 1, an interval that is not above 0) and PR002 (unknown reason).';

--
-- Name: set_webhook_endpoint(bigint, text, text[], text[], boolean, text, boolean); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.set_webhook_endpoint(endpoint_id bigint, url text DEFAULT NULL::text, event_types text[] DEFAULT NULL::text[], channels text[] DEFAULT NULL::text[], include_addresses boolean DEFAULT NULL::boolean, description text DEFAULT NULL::text, enabled boolean DEFAULT NULL::boolean) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  before constant jsonb := (
    select jsonb_build_object('url', split_part(e.url, '?', 1), 'event_types', e.event_types, 'channels', e.channels, 'include_addresses', e.include_addresses,
      'enabled', e.disabled_at is null)
    from postroad.webhook_endpoints as e
    where e.endpoint_id = set_webhook_endpoint.endpoint_id
  );
begin
  perform postroad.check_endpoint(coalesce(url, 'https://example.org'), coalesce(event_types, '{message.*}'), nullif(channels, '{}'));
  update postroad.webhook_endpoints as e
  set url = coalesce(set_webhook_endpoint.url, e.url),
    event_types = coalesce(set_webhook_endpoint.event_types, e.event_types),
    channels = case when set_webhook_endpoint.channels = '{}' then null else coalesce(set_webhook_endpoint.channels, e.channels) end,
    include_addresses = coalesce(set_webhook_endpoint.include_addresses, e.include_addresses),
    description = coalesce(set_webhook_endpoint.description, e.description),
    disabled_at = case when enabled then null when not enabled then coalesce(e.disabled_at, clock_timestamp()) else e.disabled_at end,
    disabled_reason = case when enabled then null when not enabled then coalesce(e.disabled_reason, 'by_operator') else e.disabled_reason end,
    failing_since = case when enabled then null else e.failing_since end
  where e.endpoint_id = set_webhook_endpoint.endpoint_id;
  if not found then
    return false;
  end if;
  perform postroad.audit('set_webhook_endpoint', endpoint_id::text, before, jsonb_strip_nulls(jsonb_build_object(
    'url', split_part(url, '?', 1), 'event_types', event_types, 'channels', channels, 'include_addresses', include_addresses, 'enabled', enabled)));
  return true;
end;
$$;

--
-- Name: FUNCTION set_webhook_endpoint(endpoint_id bigint, url text, event_types text[], channels text[], include_addresses boolean, description text, enabled boolean); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.set_webhook_endpoint(endpoint_id bigint, url text, event_types text[], channels text[], include_addresses boolean, description text, enabled boolean) IS 'Changes what is given of an endpoint; null leaves it as it is. channels: {} means all of them. enabled: false stops it, and events that come meanwhile are not posted to it; true lets
it go on, with those that waited when it stopped. False when there is no such endpoint. Raises PR001 (URL) and PR002 (unknown event type or channel).';

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
  perform postroad.need_read_committed();
  perform pg_advisory_xact_lock(1886351220, 3);    -- settled once
  select s.status, s.priority into known from postroad.status(message_id) as s;
  if known.status is distinct from 'unknown' then
    return false;
  end if;
  if outcome = 'resend' then
    if postroad.retry_one(message_id) is null then
      return false;
    end if;
  else
    insert into postroad.delivery_events (message_id, event_type, reason)
    values (message_id, outcome, 'settled');
  end if;
  perform postroad.audit('settle', message_id::text, '{"status": "unknown"}', jsonb_build_object('outcome', outcome));
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
-- Name: split_webhooks(bigint[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.split_webhooks(batch_ids bigint[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  split integer;
begin
  with deleted as (
    delete from postroad.webhook_batches as b
    where b.batch_id = any (batch_ids)
    returning b.gateway, b.is_replay, b.created_at, b.inbox_ids
  )
  insert into postroad.webhook_batches (gateway, is_replay, created_at, inbox_ids)
  select d.gateway, d.is_replay, d.created_at, array[u.inbox_id]
  from deleted as d, unnest(d.inbox_ids) as u (inbox_id);
  get diagnostics split = row_count;
  return split;
end;
$$;

--
-- Name: FUNCTION split_webhooks(batch_ids bigint[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.split_webhooks(batch_ids bigint[]) IS 'Makes each request of these batches a batch of its own, so that one whose events cannot be recorded holds back no other. Returns how many.';

--
-- Name: status(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return query
  select s.*
  from postroad.status_of(status.message_id, null) as s;
end;
$$;

--
-- Name: FUNCTION status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) IS 'Where a message is: one row, or none when it is not known. status: scheduled (see due_at; infinity: paused), queued, processing, sent, delivered, bounced, failed, cancelled,
expired, suppressed, unknown (it may have gone out, and is held until an event or settle says more). attempts: delivery attempts made. reason: why it was deferred or not sent;
error: the provider''s own words, and whether an earlier attempt of what was not sent may have gone out. sent means that the gateway took it, delivered that the recipient''s side did.';

--
-- Name: status_of(uuid, uuid[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.status_of(message_id uuid, in_flight uuid[], OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE ROWS 1
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
declare
  message postroad.messages;
  place record;
  outcome postroad.delivery_events;
  said postroad.delivery_events;
  bounce postroad.delivery_events;
  raised text;
  in_doubt_since timestamptz;
begin
  select m.* into message from postroad.record_of(status_of.message_id) as m;
  if not found then
    return;
  end if;
  id := message.message_id;
  channel := message.channel;
  priority := 'P' || message.priority;
  message_type := message.message_type;
  created_at := postroad.created_at(message.message_id);

  select * into place from postroad.place_of(status_of.message_id, status_of.in_flight);
  -- What ended its latest lease (workers make their ids by the clock of the database, and one that was taken for dead reports late), the strongest first; or
  -- what was said of it outside of any lease since.
  select e.* into outcome
  from postroad.delivery_events as e
  where e.message_id = status_of.message_id
    and e.lease_id is not null
    -- Whatever the clocks said: what was put off and then ended did end, and what failed and then went out did go out.
    and not exists (
      select from postroad.delivery_events as x
      where x.message_id = e.message_id
        and x.lease_id is not null
        and x.xid > e.xid
        and (e.event_type = 'deferred' and x.event_type <> 'deferred' or e.event_type = 'failed' and x.event_type = 'sent')
    )
  order by postroad.created_at(e.lease_id) desc, e.lease_id,
    case e.event_type when 'sent' then 1 when 'unknown' then 3 when 'deferred' then 4 else 2 end, e.occurred_at desc
  limit 1;
  if outcome.event_type = 'unknown' then         -- what a gateway says of any time since then settles it; its clock may be behind ours
    in_doubt_since := postroad.created_at(outcome.lease_id) - interval '5 minutes';
  end if;
  select e.* into said
  from postroad.delivery_events as e
  where e.message_id = status_of.message_id
    and e.lease_id is null
    and e.event_type in ('sent', 'failed', 'expired', 'cancelled', 'suppressed')
    and (outcome.event_id is null or e.occurred_at >= outcome.occurred_at
      or e.event_type in ('sent', 'failed') and (e.external_id = outcome.external_id or e.gateway is not null and e.occurred_at >= in_doubt_since))
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
      when bool_or(e.lease_id is null and e.gateway is not null and e.occurred_at >= in_doubt_since
        and e.event_type in ('deferred', 'bounced', 'complained', 'unsubscribed')) then 'sent'         -- it had it
    end
  into updated_at, sent_at, delivered_at, attempts, raised
  from postroad.delivery_events as e
  where e.message_id = status_of.message_id;

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
  if status = 'bounced' and outcome.event_type <> 'bounced' then       -- what took it knew nothing of that
    select e.* into bounce
    from postroad.delivery_events as e
    where e.message_id = status_of.message_id
      and e.lease_id is null
      and e.event_type = 'bounced'
      and e.bounce_type is distinct from 'soft'
    order by e.occurred_at desc, e.event_id desc
    limit 1;
    reason := coalesce(bounce.reason, bounce.detail ->> 'class');
    error := bounce.detail ->> 'text';
  elsif status = 'delivered' and outcome.event_type not in ('sent', 'unknown') then       -- by an earlier copy
    reason := null;
    error := null;
  end if;
  if status in ('failed', 'expired', 'cancelled', 'suppressed') and postroad.may_have_gone_out(message.message_id) then
    error := concat_ws('; ', error, 'an earlier attempt may have gone out');
  end if;
  return next;
end;
$$;

--
-- Name: FUNCTION status_of(message_id uuid, in_flight uuid[], OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.status_of(message_id uuid, in_flight uuid[], OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) IS 'postroad.status, which says what it means. in_flight: see place_of.';

--
-- Name: store_webhooks(text[], text[], text[], text[], text[], bytea[]); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.store_webhooks(gateways text[], delivery_keys text[], replay_keys text[], queries text[], content_types text[], bodies bytea[]) RETURNS TABLE(place integer, verdict text, batch_id bigint, inbox_id bigint, received_at timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
declare
  given integer := cardinality(gateways);
  stored bigint[];
  batches bigint[];                              -- the batch of each
begin
  if cardinality(delivery_keys) <> given or cardinality(replay_keys) <> given or cardinality(queries) <> given
    or cardinality(content_types) <> given or cardinality(bodies) <> given
  then
    raise exception 'each array needs one element a request'
      using errcode = 'PR001';
  end if;
  with inserted as (
    insert into postroad.webhook_inbox as i (gateway, delivery_key, replay_key, query, content_type, body)
    select u.gateway, u.delivery_key, u.replay_key, u.query, u.content_type, u.body
    from unnest(gateways, delivery_keys, replay_keys, queries, content_types, bodies) with ordinality
      as u (gateway, delivery_key, replay_key, query, content_type, body, place)
    order by u.gateway, u.delivery_key, u.place    -- two nodes that store the same keys do not wait for each other in a circle
    on conflict do nothing
    returning i.inbox_id, i.gateway
  ), batched as (
    insert into postroad.webhook_batches as b (gateway, inbox_ids)
    select n.gateway, array_agg(n.inbox_id)
    from inserted as n
    group by n.gateway
    returning b.batch_id, b.gateway
  )
  select array_agg(n.inbox_id), array_agg(b.batch_id) into stored, batches
  from inserted as n
  join batched as b using (gateway);
  -- In a snapshot of its own: what another node stored meanwhile is seen.
  return query
    with arrived as materialized (
      select u.place::integer, u.gateway, u.delivery_key, u.replay_key, u.body,
        row_number() over (partition by u.gateway, u.delivery_key order by u.place) = 1 as is_first
      from unnest(gateways, delivery_keys, replay_keys, bodies) with ordinality as u (gateway, delivery_key, replay_key, body, place)
    )
    select a.place,
      case
        when i.inbox_id is null then 'replayed'
        when n.batch_id is not null then 'stored'
        when a.replay_key = i.replay_key and a.body <> i.body then 'replayed'   -- a token that does not cover the body vouched for another one
        else 'duplicate'
      end,
      n.batch_id, i.inbox_id, i.received_at
    from arrived as a
    left join lateral (                            -- by its index, also with a plan that was made when the table was empty
      select x.inbox_id, x.received_at, x.replay_key, x.body
      from postroad.webhook_inbox as x
      where x.gateway = a.gateway
        and x.delivery_key = a.delivery_key
      limit 1
    ) as i on true
    left join unnest(stored, batches) as n (inbox_id, batch_id)
      on n.inbox_id = i.inbox_id and a.is_first
    order by a.place;
end;
$$;

--
-- Name: FUNCTION store_webhooks(gateways text[], delivery_keys text[], replay_keys text[], queries text[], content_types text[], bodies bytea[]); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.store_webhooks(gateways text[], delivery_keys text[], replay_keys text[], queries text[], content_types text[], bodies bytea[]) IS 'Stores verified requests, one element of each array a request, and says of each, in the order given: stored (with its batch, which waits to be read), duplicate (a
delivery_key that is there already, also twice in the call), or replayed (another delivery, or another body, under a replay_key that was used).';

--
-- Name: summarize_events(boolean, boolean); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.summarize_events(old_days boolean DEFAULT false, all_of_it boolean DEFAULT false) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET lock_timeout TO '100ms'
    AS $_$
declare
  part record;
  nth bigint;
  summarized integer := 0;
begin
  for part in
    select x.indexrelid as index, pg_relation_size(x.indrelid) / current_setting('block_size')::integer / 64 as ranges,
      all_of_it or (old_days and c.relname ~ '_[0-9]{8}$' and to_date(right(c.relname, 8), 'YYYYMMDD') < current_date - 1) as to_the_end
    from pg_inherits as i
    join pg_index as x on x.indexrelid = i.inhrelid
    join pg_class as c on c.oid = x.indrelid
    where i.inhparent in ('postroad.messages_xid'::regclass, 'postroad.delivery_events_xid'::regclass)
  loop
    -- What fills now is left: an index that knows a range is written with each new transaction in it. The last full ranges, backwards to the first known one.
    nth := part.ranges - 1;
    while nth >= 0 and brin_summarize_range(part.index, nth * 64) > 0 loop
      summarized := summarized + 1;
      nth := nth - 1;
    end loop;
    if part.to_the_end then
      summarized := summarized + brin_summarize_new_values(part.index);
    end if;
  end loop;
  return summarized;
end;
$_$;

--
-- Name: FUNCTION summarize_events(old_days boolean, all_of_it boolean); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.summarize_events(old_days boolean, all_of_it boolean) IS 'Brings the indexes by which events are read up to date: they know nothing of the pages that were filled last, and those are read whole. old_days: also the
last pages of days before yesterday, which fill slowly; it looks through all they have. all_of_it: also gaps that a killed call left, and pages that fill now. Returns how many ranges
were new. Waits 100 ms for a lock at most: on lock_not_available, call it again.';

--
-- Name: suppress(text, text, text, bigint, timestamp with time zone, text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.suppress(channel text, address text, reason text DEFAULT 'manual'::text, tenant_id bigint DEFAULT NULL::bigint, expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone, source text DEFAULT NULL::text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
declare
  key text;
  before jsonb;
begin
  key := postroad.suppression_address(channel, address);
  if coalesce(btrim(reason), '') = '' then
    raise exception 'a suppression needs a reason'
      using errcode = 'PR001', hint = 'Such as manual, legal, unsubscribe, complaint, hard_bounce.';
  end if;
  select jsonb_build_object('reason', s.reason, 'expires_at', s.expires_at, 'source', s.source) into before
  from postroad.suppression_list as s
  where s.address = key
    and s.channel is not distinct from suppress.channel
    and s.tenant_id is not distinct from suppress.tenant_id;
  if postroad.put_suppressions(array[key], array[channel], array[tenant_id], array[reason], array[expires_at],
      array[coalesce(source, nullif(current_setting('postroad.caller', true), ''), session_user)]) = 0 then
    return false;
  end if;
  perform postroad.audit('suppress', postroad.address_hash(key), before, jsonb_build_object(
    'channel', channel, 'tenant_id', tenant_id, 'reason', reason, 'expires_at', expires_at));
  return true;
end;
$$;

--
-- Name: FUNCTION suppress(channel text, address text, reason text, tenant_id bigint, expires_at timestamp with time zone, source text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.suppress(channel text, address text, reason text, tenant_id bigint, expires_at timestamp with time zone, source text) IS 'Puts an address on the suppression list: for a channel (null: all), for a tenant (null: all), until expires_at (default: for good). Messages to it that wait are stopped when
they are claimed. Returns true when that changed the list; an entry that lasts as long already stays as it is, but for its reason, of which the stronger one stays (legal,
complaint, manual and your own, hard_bounce, unsubscribe, stop, soft_bounce): a START takes back a stop, not what you say here. Raises PR001 (no reason, or an address that the channel
does not know) and PR002 (unknown channel).';

--
-- Name: suppressed_by(text, text, bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.suppressed_by(channel text, recipient text, tenant_id bigint) RETURNS text
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
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
    source text,
    message_id uuid
);

ALTER TABLE ONLY postroad.suppression_list REPLICA IDENTITY FULL;

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
-- Name: COLUMN suppression_list.created_at; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.suppression_list.created_at IS 'Since when: the time of the event, where an event did it.';

--
-- Name: COLUMN suppression_list.expires_at; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.suppression_list.expires_at IS 'Null: for good.';

--
-- Name: COLUMN suppression_list.event_id; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.suppression_list.event_id IS 'The event that did it, of message_id.';

--
-- Name: COLUMN suppression_list.reason; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.suppression_list.reason IS 'legal, complaint, manual, hard_bounce, soft_bounce, invalid_token, unsubscribe, stop, opted_out, or an operator''s own.';

--
-- Name: COLUMN suppression_list.source; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.suppression_list.source IS 'Who did it: a role, a file, the gateway that reported the event.';

--
-- Name: suppression_of(text, text, bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.suppression_of(channel text, recipient text, tenant_id bigint) RETURNS SETOF postroad.suppression_list
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
begin
  return query
  select s.*
  from postroad.suppression_list as s
  where s.address = postroad.suppression_key(suppression_of.channel, suppression_of.recipient)
    and (s.channel is null or s.channel = suppression_of.channel)
    and (s.tenant_id is null or s.tenant_id = suppression_of.tenant_id)
    and (s.expires_at is null or s.expires_at > clock_timestamp())
  order by s.created_at
  limit 1;
end;
$$;

--
-- Name: FUNCTION suppression_of(channel text, recipient text, tenant_id bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.suppression_of(channel text, recipient text, tenant_id bigint) IS 'What suppresses a normalised recipient now: also an entry for all tenants, which explain shows to a tenant whose message it stops.';

--
-- Name: suppression_rank(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.suppression_rank(reason text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select case reason
    when 'soft_bounce' then 0
    when 'stop' then 1 when 'opted_out' then 1
    when 'hard_bounce' then 2 when 'invalid_token' then 2 when 'unsubscribe' then 2
    when 'complaint' then 4
    when 'legal' then 5
    else 3
  end
$$;

--
-- Name: FUNCTION suppression_rank(reason text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.suppression_rank(reason text) IS 'Which of two reasons stays on an entry: the higher one. A START takes back what is 1; manual, and a reason of an operator''s own, is 3.';

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
    and s.open_until not between clock_timestamp() and clock_timestamp() + interval '1 minute'
    and (s.probe_until is null or s.probe_until not between clock_timestamp() and clock_timestamp() + interval '3 seconds');
  return found;
end;
$$;

--
-- Name: FUNCTION take_probe(gateway text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.take_probe(gateway text) IS 'Whether this node is the one that sends the next message to a gateway whose breaker is open, to see.';

--
-- Name: take_webhooks(text[], interval); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.take_webhooks(gateways text[], min_age interval) RETURNS TABLE(batch_id bigint, gateway text, inbox_id bigint, query text, content_type text, body bytea, received_at timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
declare
  taken record;
begin
  select b.batch_id, b.gateway, b.inbox_ids into taken
  from postroad.webhook_batches as b
  where b.gateway = any (gateways)
    and b.created_at not between clock_timestamp() - min_age and clock_timestamp()      -- in the future: the clock was put back since
  order by b.batch_id
  limit 1
  for update skip locked;
  if not found then
    return;
  end if;
  return query
    select taken.batch_id, taken.gateway, i.inbox_id, i.query, i.content_type, i.body, i.received_at
    from postroad.webhook_inbox as i
    where i.inbox_id = any (taken.inbox_ids)
    order by i.inbox_id;
  if not found then                              -- purged meanwhile
    delete from postroad.webhook_batches as b where b.batch_id = taken.batch_id;
  end if;
end;
$$;

--
-- Name: FUNCTION take_webhooks(gateways text[], min_age interval); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.take_webhooks(gateways text[], min_age interval) IS 'The oldest batch of stored requests of these gateways that waits for at least min_age, locked until the end of the transaction, in which finish_webhooks is to be called.
No row when none waits, or others have them all.';

--
-- Name: tell_rate_limits(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.tell_rate_limits(excesses jsonb) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  excess record;
  this text;
  told integer := 0;
begin
  for excess in
    select e.kind, e.name, e.gateway, e.tenant_id, e.reason, e.code, e."limit", e.window_seconds, e.retry_after_seconds,
      clock_timestamp() - make_interval(secs => coalesce(e.lasting_seconds, 0)) as first_seen_at
    from jsonb_to_recordset(excesses) as e (
      kind text, name text, gateway text, tenant_id bigint, reason text, code text,
      "limit" bigint, window_seconds double precision, retry_after_seconds double precision, lasting_seconds double precision)
    order by e.kind, e.name, e.gateway           -- locks are taken in one order
  loop
    this := excess.kind || ':' || excess.name;
    perform pg_advisory_xact_lock(1886351222, hashtext(this));       -- another node may be telling the same: its row is seen below
    if not exists (
      select from postroad.system_events as s
      where s.occurred_at > clock_timestamp() - interval '1 minute'
        and s.kind = 'rate_limit_exceeded'
        and s.subject = this
        and s.detail ->> 'gateway' is not distinct from excess.gateway
    ) then
      perform postroad.emit_system_event('rate_limit_exceeded', this, jsonb_strip_nulls(to_jsonb(excess)));
      told := told + 1;
    end if;
  end loop;
  return told;
end;
$$;

--
-- Name: FUNCTION tell_rate_limits(excesses jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.tell_rate_limits(excesses jsonb) IS 'Emits system events rate_limit_exceeded, one a limit and minute, whichever node saw it. excesses: [{"kind": "api_key", "token", "gateway" or "domain", "name": its id, never
an address, "gateway" (of a domain), "tenant_id", "reason", "code", "limit" in each "window_seconds", "retry_after_seconds", "lasting_seconds": how long it has been exceeded}]. Returns how many it emitted.';

--
-- Name: timeline(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.timeline(message_id uuid) RETURNS TABLE(occurred_at timestamp with time zone, event_type text, attempt smallint, gateway text, external_id text, reason text, bounce_type text, detail jsonb)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
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

COMMENT ON FUNCTION postroad.timeline(message_id uuid) IS 'What happened to a message, oldest first; queued is the row in messages. detail: the provider''s own code and words; in_doubt: true, where an attempt that is made again may have gone out.';

--
-- Name: to_time(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.to_time(text) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    AS $_$
begin
  if $1 ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)? ?(Z|z|[+-][0-9]{2}(:?[0-9]{2})?)?)?$' then
    return $1::timestamptz;
  end if;
  return null;
exception
  when data_exception then                       -- the 30th of February
    return null;
end;
$_$;

--
-- Name: FUNCTION to_time(text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.to_time(text) IS 'A time in ISO 8601, or null when it is none.';

--
-- Name: txid_current_if_assigned(); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.txid_current_if_assigned() RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
  select pg_current_xact_id_if_assigned()::text::bigint
$$;

--
-- Name: FUNCTION txid_current_if_assigned(); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.txid_current_if_assigned() IS 'The id of this transaction, or null when it has written nothing yet.';

--
-- Name: u_label(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.u_label(a_label text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  encoded constant text := substr(a_label, 5);
  digits constant text := regexp_replace(encoded, '^.*-', '');
  label text := case when position('-' in encoded) > 0 then regexp_replace(encoded, '-[^-]*$', '') else '' end;
  code bigint := 128;
  place bigint := 0;
  bias bigint := 72;
  from_place bigint;
  weight bigint;
  k integer;
  digit integer;
  threshold bigint;
  delta bigint;
  nth integer := 1;
begin
  if a_label !~ '^xn--[a-z0-9-]*[a-z0-9]$' or length(a_label) > 63 then
    return null;
  end if;
  while nth <= length(digits) loop               -- a code point each: RFC 3492, section 6.2
    from_place := place;
    weight := 1;
    k := 36;
    loop
      if nth > length(digits) then
        return null;
      end if;
      digit := position(substr(digits, nth, 1) in 'abcdefghijklmnopqrstuvwxyz0123456789') - 1;
      nth := nth + 1;
      place := place + digit * weight;
      threshold := least(26, greatest(1, k - bias));
      exit when digit < threshold;
      weight := weight * (36 - threshold);
      if weight > 1000000000 then
        return null;
      end if;
      k := k + 36;
    end loop;
    delta := (place - from_place) / case when from_place = 0 then 700 else 2 end;      -- section 6.1
    delta := delta + delta / (length(label) + 1);
    bias := 0;
    while delta > 455 loop
      delta := delta / 35;
      bias := bias + 36;
    end loop;
    bias := bias + 36 * delta / (delta + 38);
    code := code + place / (length(label) + 1);
    place := place % (length(label) + 1);
    -- Letters that fold_domain folds, or that are no capitals: to encode them again must give the same label.
    if (code between 223 and 383 and code not in (247, 304) or code between 940 and 974 or code between 1072 and 1119
      or code between 1163 and 1215 and code % 2 = 1 or code between 1233 and 1327 and code % 2 = 1 or code between 1425 and 1791
      or code between 2304 and 3711 or code between 4304 and 4346 or code between 7841 and 7929 and code % 2 = 1
      or code between 12353 and 12543 or code between 13312 and 40959 or code between 44032 and 55203) is not true
    then
      return null;
    end if;
    label := left(label, place::integer) || chr(code::integer) || substr(label, place::integer + 1);
    place := place + 1;
  end loop;
  return case when postroad.fold_domain(label) = label then label end;
end;
$_$;

--
-- Name: FUNCTION u_label(a_label text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.u_label(a_label text) IS 'The label that an A-label (xn--…, in small letters) stands for, decoded by Punycode (RFC 3492), or null: where it is none, and where not all of it is of the small letters of Latin, Greek and Cyrillic, of Hebrew, Arabic, the scripts
of India, Thai, Lao, Georgian, Chinese, Japanese or Korean, for which it is certain that the label is encoded as it was.';

--
-- Name: unregister_consumer(text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.unregister_consumer(consumer text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  owner text;
begin
  select c.registered_by into owner
  from postroad.consumers as c
  where c.consumer = unregister_consumer.consumer
    and c.consumer !~ '^_'
  for update;
  if not found then
    return false;
  end if;
  perform postroad.check_consumer_owner(consumer, owner);
  delete from postroad.consumers as c
  where c.consumer = unregister_consumer.consumer;
  return true;
end;
$$;

--
-- Name: FUNCTION unregister_consumer(consumer text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.unregister_consumer(consumer text) IS 'Forgets a reader of events and its position. False when there is none of this name. It belongs to who registered it: raises 42501 (insufficient_privilege) for others but
operators (postroad_admin).';

--
-- Name: unregister_worker(bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.unregister_worker(worker_id bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
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

CREATE FUNCTION postroad.unsent_of(lease postroad.leases) RETURNS TABLE(message_id uuid, attempt smallint)
    LANGUAGE sql
    AS $$
  select u.message_id, u.attempt
  from unnest(lease.message_ids, lease.attempts) with ordinality as u (message_id, attempt, nth)
  where not exists (
    select from postroad.delivery_events as e
    where e.message_id = u.message_id
      and e.lease_id = lease.lease_id
  )
  order by u.nth
$$;

--
-- Name: FUNCTION unsent_of(lease postroad.leases); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.unsent_of(lease postroad.leases) IS 'The messages of a lease that have no event of it, in its order.';

--
-- Name: unsuppress(text, text, bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.unsuppress(channel text, address text, tenant_id bigint DEFAULT NULL::bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
declare
  key constant text := postroad.suppression_address(channel, address);
  before jsonb;
begin
  delete from postroad.suppression_list as s
  where s.address = key
    and s.channel is not distinct from unsuppress.channel
    and s.tenant_id is not distinct from unsuppress.tenant_id
  returning jsonb_build_object('channel', s.channel, 'tenant_id', s.tenant_id, 'reason', s.reason, 'expires_at', s.expires_at, 'source', s.source)
  into before;
  if before is null then
    return false;
  end if;
  perform postroad.audit('unsuppress', postroad.address_hash(key), before);
  return true;
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
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
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
      and k.tenant_id is not distinct from use_idempotency_key.tenant_id;
    if not found then
      continue;                                 -- purged in between
    end if;
    if known.created_at < clock_timestamp() - interval '7 days' then
      delete from postroad.idempotency_keys as k
      where k.key = use_idempotency_key.key
        and k.tenant_id is not distinct from use_idempotency_key.tenant_id
        and k.message_id = known.message_id;    -- not what another one made of it meanwhile
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
-- Name: utc_json(timestamp with time zone); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.utc_json(at timestamp with time zone) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET "TimeZone" TO 'UTC'
    AS $$
  select to_jsonb(at)
$$;

--
-- Name: FUNCTION utc_json(at timestamp with time zone); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.utc_json(at timestamp with time zone) IS 'A time as JSON, the same whatever the time zone of the session: for fingerprints of calls.';

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

COMMENT ON FUNCTION postroad.uuid_add(base uuid, steps bigint) IS 'The UUID that many steps on, in its last 48 bits.';

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
  select (lpad(to_hex((date_part('epoch', clock_timestamp()) * 1000)::bigint * 16 + 7), 13, '0') || right(gen_random_uuid()::text, 21))::uuid
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
-- Name: wants_message(text[], text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.wants_message(event_types text[], event_type text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select event_types is null or event_type = any (event_types) or '*' = any (event_types)
$$;

--
-- Name: FUNCTION wants_message(event_types text[], event_type text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.wants_message(event_types text[], event_type text) IS 'Whether a reader of these types reads such an event of a message.';

--
-- Name: wants_system(text[], text); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.wants_system(event_types text[], kind text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select coalesce('system.*' = any (event_types) or 'system.' || kind = any (event_types), false)
$$;

--
-- Name: FUNCTION wants_system(event_types text[], kind text); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.wants_system(event_types text[], kind text) IS 'Whether a reader of these types reads such a system event.';

--
-- Name: withdraw(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.withdraw(message_id uuid) RETURNS boolean
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
declare
  place postroad.message_queue;
  others uuid[];
begin
  -- A claim deletes the same row: exactly one of the two gets it. A row that a claim, or the withdrawal of another message in it, has locked is waited for; what is left
  -- of it then is another row. So is what a promotion or a resume moves into the queue meanwhile.
  loop
    select q.* into place from postroad.queue_row_of(withdraw.message_id) as q;
    if found then
      delete from postroad.message_queue as q
      where q.priority = place.priority
        and q.message_id = place.message_id
        and q.seq = place.seq
      returning array_remove(q.message_id || q.more_ids, withdraw.message_id) into others;
      continue when not found;
      insert into postroad.message_queue (seq, message_id, priority, attempt, rescues, size_kb, more_ids)
      select place.seq, others[1], place.priority, place.attempt, place.rescues, place.size_kb, nullif(others[2:], '{}')
      where others <> '{}';
      return true;
    end if;
    delete from postroad.scheduled as s where s.message_id = withdraw.message_id;
    if found then
      return true;
    end if;
    if not exists (select from postroad.queue_row_of(withdraw.message_id)) then
      return false;
    end if;
  end loop;
end;
$$;

--
-- Name: FUNCTION withdraw(message_id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.withdraw(message_id uuid) IS 'Takes a message out of the queue, or out of what waits for its time, and leaves those that share its row; false when it is in neither.';

--
-- Name: without_suppressed_copies(jsonb, bigint); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.without_suppressed_copies(options jsonb, tenant_id bigint) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $_$
  select options || jsonb_object_agg(k.name, array_to_json(array(
      select c.address
      from jsonb_array_elements(options -> k.name) as c (address)
      where postroad.suppressed_by('email', postroad.normalize_email(regexp_replace(c.address #>> '{}', '^.*<([^<>]*)>[[:space:]]*$', E'\\1')),
        without_suppressed_copies.tenant_id) is null
    )))
  from unnest('{cc,bcc}'::text[]) as k (name)
  where options ? k.name
$_$;

--
-- Name: FUNCTION without_suppressed_copies(options jsonb, tenant_id bigint); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.without_suppressed_copies(options jsonb, tenant_id bigint) IS 'Options of a mail that name cc or bcc, without those that are on the suppression list now.';

--
-- Name: write_cursor(uuid); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.write_cursor(id uuid) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select translate(encode(uuid_send(id), 'base64'), '+/=', '-_')
$$;

--
-- Name: FUNCTION write_cursor(id uuid); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.write_cursor(id uuid) IS 'A place in a list of messages, as callers hand it back: base64url.';

--
-- Name: write_place(jsonb); Type: FUNCTION; Schema: postroad; Owner: -
--

CREATE FUNCTION postroad.write_place(place jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select translate(encode(convert_to(place::text, 'UTF8'), 'base64'), E'+/=\n', '-_')
$$;

--
-- Name: FUNCTION write_place(place jsonb); Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON FUNCTION postroad.write_place(place jsonb) IS 'A place in a list, as callers hand it back: base64url of a JSON array.';

--
-- Name: address_key; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.address_key (
    key bytea NOT NULL,
    is_single boolean DEFAULT true NOT NULL,
    CONSTRAINT there_is_one CHECK (is_single)
);

--
-- Name: TABLE address_key; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.address_key IS 'What addresses are hashed with where a row must tell one from another for longer than the address may be kept: the audit. Random, of this installation; no role can read it.';

--
-- Name: api_keys; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.api_keys (
    key_id bigint NOT NULL,
    tenant_id bigint,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    requests_per_second integer,
    created_by text NOT NULL,
    name text NOT NULL,
    prefix text NOT NULL COLLATE pg_catalog."C",
    hash bytea NOT NULL,
    roles text[] NOT NULL,
    CONSTRAINT roles_are_known CHECK (((cardinality(roles) > 0) AND (roles <@ '{sender,reader,admin,webhook}'::text[])))
);

--
-- Name: TABLE api_keys; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.api_keys IS 'Keys of the HTTP API, hashed.';

--
-- Name: COLUMN api_keys.tenant_id; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_keys.tenant_id IS 'The tenant to which its caller is bound; null: none, it sees all.';

--
-- Name: COLUMN api_keys.last_used_at; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_keys.last_used_at IS 'Written once a minute at most.';

--
-- Name: COLUMN api_keys.requests_per_second; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_keys.requests_per_second IS 'Null: as the server is configured.';

--
-- Name: COLUMN api_keys.prefix; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_keys.prefix IS 'Its first characters, to tell keys apart.';

--
-- Name: COLUMN api_keys.hash; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_keys.hash IS 'SHA-256 of the key, which is random: no salt, no stretching.';

--
-- Name: api_keys_key_id_seq; Type: SEQUENCE; Schema: postroad; Owner: -
--

ALTER TABLE postroad.api_keys ALTER COLUMN key_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME postroad.api_keys_key_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: api_routes; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.api_routes (
    method text NOT NULL COLLATE pg_catalog."C",
    path text NOT NULL COLLATE pg_catalog."C",
    function text NOT NULL COLLATE pg_catalog."C",
    roles text[] NOT NULL,
    tenants boolean NOT NULL,
    cost integer NOT NULL,
    success smallint NOT NULL,
    is_stream boolean NOT NULL,
    summary text NOT NULL,
    parameters jsonb NOT NULL,
    request jsonb,
    response jsonb,
    seeded xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT cost_is_positive CHECK ((cost > 0)),
    CONSTRAINT roles_are_known CHECK (((cardinality(roles) > 0) AND (roles <@ '{sender,reader,admin,webhook}'::text[])))
);

--
-- Name: TABLE api_routes; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.api_routes IS 'The endpoints of the HTTP API: a file of sql/http makes each function and its row.';

--
-- Name: COLUMN api_routes.path; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_routes.path IS 'Below /api/v1; {name} is a parameter.';

--
-- Name: COLUMN api_routes.function; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_routes.function IS 'In this schema: takes the call as jsonb, returns status and body.';

--
-- Name: COLUMN api_routes.roles; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_routes.roles IS 'A caller needs one of these.';

--
-- Name: COLUMN api_routes.tenants; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_routes.tenants IS 'Whether callers that are bound to a tenant may call it.';

--
-- Name: COLUMN api_routes.cost; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_routes.cost IS 'What a call takes from the caller''s rate limit.';

--
-- Name: COLUMN api_routes.success; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_routes.success IS 'The HTTP status of a call that worked.';

--
-- Name: COLUMN api_routes.is_stream; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_routes.is_stream IS 'Takes NDJSON too, of any length.';

--
-- Name: COLUMN api_routes.parameters; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_routes.parameters IS 'JSON Schema of each parameter of path and query, by name.';

--
-- Name: COLUMN api_routes.request; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_routes.request IS 'JSON Schema of the body; null: it takes none.';

--
-- Name: COLUMN api_routes.response; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_routes.response IS 'JSON Schema of the answer.';

--
-- Name: COLUMN api_routes.seeded; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.api_routes.seeded IS 'The migration that wrote it: rows of older ones are dropped by grants.sql.';

--
-- Name: audit_log; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.audit_log (
    audit_id bigint NOT NULL,
    tenant_id bigint,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    who text NOT NULL,
    database_user text DEFAULT SESSION_USER NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    before jsonb,
    after jsonb
);

--
-- Name: TABLE audit_log; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.audit_log IS 'Who changed what: a row for each change by an operator, in SQL or over HTTP, written in the same transaction.';

--
-- Name: COLUMN audit_log.tenant_id; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.audit_log.tenant_id IS 'The tenant whose caller it was; null: an operator of the whole.';

--
-- Name: COLUMN audit_log.who; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.audit_log.who IS 'The caller of the HTTP API, or the database user.';

--
-- Name: COLUMN audit_log.target; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.audit_log.target IS 'What was changed: a message, a scope and key, the hash of an address …; never an address, which forget could not reach.';

--
-- Name: audit_log_audit_id_seq; Type: SEQUENCE; Schema: postroad; Owner: -
--

ALTER TABLE postroad.audit_log ALTER COLUMN audit_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME postroad.audit_log_audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: bulk_transactions; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.bulk_transactions (
    batch_id uuid NOT NULL,
    xid bigint DEFAULT txid_current() NOT NULL
);

--
-- Name: TABLE bulk_transactions; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.bulk_transactions IS 'The transactions that enqueued recipients of a bulk send, one most often: see bulk_status. Written by enqueue_rows; dropped with the contents of their day.';

--
-- Name: COLUMN bulk_transactions.xid; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.bulk_transactions.xid IS 'As messages.xid.';

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
-- Name: event_minutes; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.event_minutes (
    minute timestamp with time zone NOT NULL,
    events bigint NOT NULL,
    last_at timestamp with time zone NOT NULL,
    channel text NOT NULL COLLATE pg_catalog."C",
    gateway text COLLATE pg_catalog."C",
    event_type text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='70');

ALTER TABLE ONLY postroad.event_minutes REPLICA IDENTITY FULL;

--
-- Name: TABLE event_minutes; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.event_minutes IS 'Events by the minute in which they happened. Kept by count_events for 25 hours.';

--
-- Name: channel_stats; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.channel_stats AS
 SELECT s.channel,
    s.queued AS enqueued_1h,
    s.sent AS sent_1h,
    s.failed AS failed_1h,
    s.not_sent AS not_sent_1h,
    GREATEST((((s.queued - s.sent) - s.failed) - s.not_sent), (0)::bigint) AS waiting_1h
   FROM ( SELECT c.channel,
            (COALESCE(sum(c.events) FILTER (WHERE (c.event_type = 'queued'::text)), (0)::numeric))::bigint AS queued,
            (COALESCE(sum(c.events) FILTER (WHERE (c.event_type = 'sent'::text)), (0)::numeric))::bigint AS sent,
            (COALESCE(sum(c.events) FILTER (WHERE (c.event_type = ANY (ARRAY['failed'::text, 'bounced'::text]))), (0)::numeric))::bigint AS failed,
            (COALESCE(sum(c.events) FILTER (WHERE (c.event_type = ANY (ARRAY['suppressed'::text, 'expired'::text, 'cancelled'::text, 'unknown'::text]))), (0)::numeric))::bigint AS not_sent
           FROM postroad.event_minutes c
          WHERE ((c.minute > (clock_timestamp() - '01:00:00'::interval)) AND (c.channel <> ''::text))
          GROUP BY c.channel) s;

--
-- Name: VIEW channel_stats; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.channel_stats IS 'Each channel: how many messages were enqueued, sent, failed (or bounced), and not sent for another reason (suppressed, expired, cancelled, unknown) in the last hour; waiting_1h: how many more came than ended.
Counted every second. By day, message type, source and tenant: message_stats.';

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
 SELECT c.minute,
    c.gateway,
    c.event_type,
    (sum(c.events))::bigint AS events
   FROM postroad.event_minutes c
  WHERE ((c.minute > (clock_timestamp() - '01:00:00'::interval)) AND (c.event_type <> 'queued'::text))
  GROUP BY c.minute, c.gateway, c.event_type;

--
-- Name: VIEW delivery_rates; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.delivery_rates IS 'Events by minute and gateway, in the last hour.';

--
-- Name: event_consumers; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.event_consumers AS
 SELECT c.consumer,
    c.event_types,
    c.registered_at,
    c.read_at,
    c.acked_at,
        CASE
            WHEN (c.batch_xid IS NOT NULL) THEN c.batch_id
            ELSE NULL::bigint
        END AS open_batch,
    (clock_timestamp() - c.seen_at) AS behind,
    (txid_snapshot_xmax(txid_current_snapshot()) - txid_snapshot_xmax(c.seen)) AS transactions_behind,
    c.registered_by
   FROM postroad.consumers c;

--
-- Name: VIEW event_consumers; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.event_consumers IS 'Who reads events, and how far: behind is the age of the snapshot up to which all was acknowledged; transactions_behind those of the whole server since. open_batch: was read and is not
acknowledged. registered_by: whose it is. _counters counts, _webhooks posts to endpoints.';

--
-- Name: event_tallies; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.event_tallies (
    xid bigint DEFAULT txid_current() NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    tenant_id bigint,
    day date NOT NULL,
    events integer NOT NULL,
    channel text NOT NULL COLLATE pg_catalog."C",
    gateway text COLLATE pg_catalog."C",
    message_type text NOT NULL COLLATE pg_catalog."C",
    source_type text COLLATE pg_catalog."C",
    event_type text NOT NULL COLLATE pg_catalog."C"
);

ALTER TABLE ONLY postroad.event_tallies REPLICA IDENTITY FULL;

--
-- Name: TABLE event_tallies; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.event_tallies IS 'Events that complete wrote, by what they are counted by; count_events adds them to the counters and deletes them. Empty on a server that keeps up.';

--
-- Name: COLUMN event_tallies.day; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.event_tallies.day IS 'The day (UTC) on which the messages were enqueued.';

--
-- Name: COLUMN event_tallies.channel; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.event_tallies.channel IS 'Empty when the record of the messages was gone; so is message_type.';

--
-- Name: event_ticks; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.event_ticks (
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    snapshot txid_snapshot NOT NULL
);

--
-- Name: TABLE event_ticks; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.event_ticks IS 'What could be seen at a time, once a minute: a reader may begin there.';

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

COMMENT ON VIEW postroad.failed_messages IS 'Each time that a message failed or bounced, also where it was retried and sent since: see status. Ask with failed_at >= … order by failed_at. See retry and retry_failed.';

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
     LEFT JOIN ( SELECT c.gateway,
            c.channel,
            (sum(c.events) FILTER (WHERE ((c.event_type = 'sent'::text) AND (c.minute > (clock_timestamp() - '01:00:00'::interval)))))::bigint AS sent,
            (sum(c.events) FILTER (WHERE ((c.event_type = ANY (ARRAY['failed'::text, 'bounced'::text, 'deferred'::text, 'unknown'::text])) AND (c.minute > (clock_timestamp() - '01:00:00'::interval)))))::bigint AS failed,
            max(c.last_at) FILTER (WHERE (c.event_type = 'sent'::text)) AS last_sent_at
           FROM postroad.event_minutes c
          GROUP BY c.gateway, c.channel) r USING (gateway, channel));

--
-- Name: VIEW gateway_stats; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.gateway_stats IS 'Each gateway of each channel, with what it did in the last hour, and when it last sent (within 25 hours). Counted every second.';

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

ALTER TABLE ONLY postroad.health_log REPLICA IDENTITY FULL;

--
-- Name: TABLE health_log; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.health_log IS 'Each change of a gateway''s breaker: open (and why) or closed; append-only.';

--
-- Name: http_idempotency; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.http_idempotency (
    caller text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    fingerprint bytea NOT NULL,
    status smallint NOT NULL,
    body jsonb
);

--
-- Name: TABLE http_idempotency; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.http_idempotency IS 'Answers to calls that came with an Idempotency-Key, for 24 hours; written with their effects, in one transaction.';

--
-- Name: COLUMN http_idempotency.caller; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.http_idempotency.caller IS 'The key or token that called.';

--
-- Name: COLUMN http_idempotency.fingerprint; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.http_idempotency.fingerprint IS 'SHA-256 of the call.';

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

ALTER TABLE ONLY postroad.idempotency_keys REPLICA IDENTITY FULL;

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
-- Name: inbound_messages; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.inbound_messages (
    message_id uuid NOT NULL,
    gateway text NOT NULL COLLATE pg_catalog."C",
    source_key text COLLATE pg_catalog."C",
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

--
-- Name: TABLE inbound_messages; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.inbound_messages IS 'Ids under which events of people are kept that name no message of ours: inbound messages, and complaints and wishes without one.';

--
-- Name: intents; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.intents (
    lease_id uuid NOT NULL,
    message_ids uuid[] NOT NULL
);
ALTER TABLE ONLY postroad.intents ALTER COLUMN message_ids SET STORAGE EXTERNAL;

ALTER TABLE ONLY postroad.intents REPLICA IDENTITY FULL;

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
    xid bigint DEFAULT txid_current() NOT NULL,
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
    is_tallied boolean DEFAULT false NOT NULL,
    CONSTRAINT event_type_is_known CHECK ((event_type = ANY (ARRAY['sent'::text, 'deferred'::text, 'delivered'::text, 'opened'::text, 'clicked'::text, 'converted'::text, 'bounced'::text, 'complained'::text, 'unsubscribed'::text, 'failed'::text, 'expired'::text, 'cancelled'::text, 'suppressed'::text, 'unknown'::text, 'received'::text])))
);

ALTER TABLE ONLY postroad.late_events REPLICA IDENTITY FULL;

--
-- Name: TABLE late_events; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.late_events IS 'Events of messages whose day is gone.';

--
-- Name: unplaced_events; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.unplaced_events (
    count_id bigint NOT NULL,
    day date NOT NULL,
    gateway text NOT NULL COLLATE pg_catalog."C",
    cause text NOT NULL,
    events bigint NOT NULL,
    last_at timestamp with time zone NOT NULL,
    last_event jsonb
)
WITH (fillfactor='50');

--
-- Name: TABLE unplaced_events; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.unplaced_events IS 'Reported events that were left out, counted by day, gateway and cause, with the last of each; a row for each call at a time, so that none waits: see left_out_events.';

--
-- Name: left_out_events; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.left_out_events AS
 SELECT x.day,
    x.gateway,
    x.cause,
    (sum(x.events))::bigint AS events,
    max(x.last_at) AS last_at,
    (array_agg(x.last_event ORDER BY x.last_at DESC))[1] AS last_event
   FROM postroad.unplaced_events x
  GROUP BY x.day, x.gateway, x.cause
  ORDER BY x.day DESC, x.gateway, x.cause;

--
-- Name: VIEW left_out_events; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.left_out_events IS 'Reported events that were not recorded, counted by day (UTC), gateway and cause: malformed (an id or a time that is none), unknown_event (a type that we do not have),
unknown_message (no message of ours: of another application on the same account, perhaps), unproven (anybody may have sent it, as a mail to the address of bounces, and it is about no message of
which it may be: forged, perhaps). last_event is the latest of them, without its recipient. Kept 90 days.';

--
-- Name: message_counters; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.message_counters (
    day date NOT NULL,
    tenant_id bigint,
    count bigint NOT NULL,
    channel text NOT NULL COLLATE pg_catalog."C",
    gateway text COLLATE pg_catalog."C",
    message_type text NOT NULL COLLATE pg_catalog."C",
    source_type text COLLATE pg_catalog."C",
    event_type text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='70');

ALTER TABLE ONLY postroad.message_counters REPLICA IDENTITY FULL;

--
-- Name: TABLE message_counters; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.message_counters IS 'Events by the day (UTC) of their message, channel, gateway, message type, source and tenant. Kept by count_events, checked by audit_counters. They stay when the day is dropped.';

--
-- Name: COLUMN message_counters.day; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.message_counters.day IS 'The day on which the message was enqueued.';

--
-- Name: COLUMN message_counters.channel; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.message_counters.channel IS 'Empty when the record of the message was gone by the time of the event; so is message_type.';

--
-- Name: message_queue_p0; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.message_queue_p0 (
    seq bigint NOT NULL,
    message_id uuid NOT NULL,
    priority smallint NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    rescues smallint DEFAULT 0 NOT NULL,
    size_kb smallint DEFAULT 0 NOT NULL,
    more_ids uuid[]
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
    size_kb smallint DEFAULT 0 NOT NULL,
    more_ids uuid[]
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
    size_kb smallint DEFAULT 0 NOT NULL,
    more_ids uuid[]
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
    size_kb smallint DEFAULT 0 NOT NULL,
    more_ids uuid[]
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
    size_kb smallint DEFAULT 0 NOT NULL,
    more_ids uuid[]
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='20000', autovacuum_analyze_scale_factor='0.5');

--
-- Name: TABLE message_queue_p4; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.message_queue_p4 IS 'Messages of priority P4 that may be sent now.';

--
-- Name: message_stats; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.message_stats AS
 SELECT c.day,
    c.channel,
    c.gateway,
    c.message_type,
    c.source_type,
    c.tenant_id,
    c.event_type,
    c.count
   FROM postroad.message_counters c;

--
-- Name: VIEW message_stats; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.message_stats IS 'How many events of each type there were, by the day (UTC) on which their message was enqueued, channel, gateway, message type, source and tenant. Exact to a second or so; days whose
messages were dropped stay. queued has no gateway. See audit_counters.';

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
    options jsonb,
    xid bigint DEFAULT txid_current() NOT NULL
);

--
-- Name: TABLE messages_default; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.messages_default IS 'Catches what no day was made for; maintenance moves it to its day.';

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
    options jsonb,
    xid bigint DEFAULT txid_current() NOT NULL
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
-- Name: webhook_endpoints; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.webhook_endpoints (
    endpoint_id bigint NOT NULL,
    url text NOT NULL,
    event_types text[] NOT NULL,
    channels text[],
    tenant_id bigint,
    include_addresses boolean DEFAULT false NOT NULL,
    description text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    created_by text DEFAULT SESSION_USER NOT NULL,
    disabled_at timestamp with time zone,
    disabled_reason text,
    failing_since timestamp with time zone,
    last_success_at timestamp with time zone,
    last_failure_at timestamp with time zone,
    last_failure text
)
WITH (fillfactor='50');

--
-- Name: TABLE webhook_endpoints; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.webhook_endpoints IS 'Where events are posted, by Standard Webhooks 1.0.0.';

--
-- Name: COLUMN webhook_endpoints.event_types; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.webhook_endpoints.event_types IS 'Such as message.*, message.delivered, system.*.';

--
-- Name: COLUMN webhook_endpoints.channels; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.webhook_endpoints.channels IS 'Events of messages of these channels only; null: of all.';

--
-- Name: COLUMN webhook_endpoints.tenant_id; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.webhook_endpoints.tenant_id IS 'Events of this tenant only; null: of all.';

--
-- Name: COLUMN webhook_endpoints.failing_since; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.webhook_endpoints.failing_since IS 'No delivery has succeeded since; null after a success.';

--
-- Name: webhook_outbox; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.webhook_outbox (
    delivery_id bigint NOT NULL,
    endpoint_id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    due_at timestamp with time zone DEFAULT clock_timestamp(),
    finished_at timestamp with time zone,
    attempts smallint DEFAULT 0 NOT NULL,
    last_status smallint,
    last_error text,
    webhook_id text NOT NULL COLLATE pg_catalog."C",
    event_type text NOT NULL COLLATE pg_catalog."C",
    payload text NOT NULL
)
WITH (fillfactor='80', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='5000');

--
-- Name: TABLE webhook_outbox; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.webhook_outbox IS 'Events on their way to endpoints, one row each, and what became of them.';

--
-- Name: COLUMN webhook_outbox.due_at; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.webhook_outbox.due_at IS 'When it is tried next; while a process posts it, when another one may. Null: delivered or given up.';

--
-- Name: COLUMN webhook_outbox.webhook_id; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.webhook_outbox.webhook_id IS 'The same at every attempt, and unique to an event and endpoint.';

--
-- Name: outbound_stats; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.outbound_stats AS
 SELECT e.endpoint_id,
    split_part(e.url, '?'::text, 1) AS url,
    e.event_types,
    e.channels,
    e.tenant_id,
    e.disabled_at,
    e.disabled_reason,
    e.failing_since,
    e.last_success_at,
    e.last_failure_at,
    e.last_failure,
    ( SELECT count(*) AS count
           FROM ( SELECT
                   FROM postroad.webhook_outbox o
                  WHERE ((o.endpoint_id = e.endpoint_id) AND (o.due_at IS NOT NULL))
                 LIMIT 10000) w) AS waiting,
    ( SELECT min(o.created_at) AS min
           FROM ( SELECT w.created_at
                   FROM postroad.webhook_outbox w
                  WHERE ((w.endpoint_id = e.endpoint_id) AND (w.due_at IS NOT NULL))
                  ORDER BY w.due_at
                 LIMIT 100) o) AS oldest_at
   FROM postroad.webhook_endpoints e;

--
-- Name: VIEW outbound_stats; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.outbound_stats IS 'Each endpoint (without the query of its URL), how it does, and how many events wait for it: exact below 10,000, which stands for that many or more. oldest_at: the oldest of the 100 that are due first.';

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
-- Name: queue_stats; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.queue_stats AS
 SELECT ('P'::text || p.p) AS priority,
    d.ready,
    d.oldest_at,
    (clock_timestamp() - d.oldest_at) AS oldest_age,
    ((clock_timestamp() - d.oldest_at) > postroad.overdue_after((p.p)::smallint)) AS overdue,
    postroad.bounded_scheduled((p.p)::smallint, false) AS scheduled,
    postroad.bounded_scheduled((p.p)::smallint, true) AS parked,
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

COMMENT ON VIEW postroad.queue_stats IS 'One row a priority: messages ready to be sent (exact below 10,000), the oldest of them and whether it is overdue, scheduled ones (retries too) and ones parked by a
pause (each counted up to 10,000), ones in leases, and why the priority is paused.';

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
-- Name: sms_replies; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.sms_replies (
    wish text NOT NULL,
    body text NOT NULL,
    CONSTRAINT wish_is_known CHECK ((wish = ANY (ARRAY['help'::text, 'start'::text])))
);

--
-- Name: TABLE sms_replies; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.sms_replies IS 'What is answered to HELP and START: see set_sms_reply.';

--
-- Name: suppression_rules; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.suppression_rules (
    reason text NOT NULL,
    is_on boolean DEFAULT true NOT NULL,
    after integer DEFAULT 1 NOT NULL,
    within interval,
    expires_after interval,
    every_channel boolean DEFAULT false NOT NULL,
    every_tenant boolean DEFAULT true NOT NULL,
    CONSTRAINT after_is_positive CHECK (((after >= 1) AND (after <= 1000))),
    CONSTRAINT expires_after_is_positive CHECK ((expires_after > '00:00:00'::interval)),
    CONSTRAINT within_is_positive CHECK ((within > '00:00:00'::interval))
);

--
-- Name: TABLE suppression_rules; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.suppression_rules IS 'Which events suppress a recipient, and for how long: see set_suppression_rule.';

--
-- Name: COLUMN suppression_rules.after; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.suppression_rules.after IS 'So many messages with such an event suppress.';

--
-- Name: COLUMN suppression_rules.within; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.suppression_rules.within IS 'Only events this young count; null: since the last delivery.';

--
-- Name: COLUMN suppression_rules.expires_after; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.suppression_rules.expires_after IS 'Null: for good.';

--
-- Name: COLUMN suppression_rules.every_tenant; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.suppression_rules.every_tenant IS 'False: the tenant of the message only.';

--
-- Name: suppression_policy; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.suppression_policy AS
 SELECT r.reason,
    r.is_on,
    r.after,
    r.within,
    r.expires_after,
    r.every_channel,
    r.every_tenant
   FROM postroad.suppression_rules r
  ORDER BY r.reason;

--
-- Name: VIEW suppression_policy; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.suppression_policy IS 'Which events suppress a recipient, and for how long: change it by set_suppression_rule.';

--
-- Name: suppression_strikes; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.suppression_strikes (
    address text NOT NULL COLLATE pg_catalog."C",
    channel text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL,
    message_id uuid NOT NULL,
    occurred_at timestamp with time zone NOT NULL
);

--
-- Name: TABLE suppression_strikes; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.suppression_strikes IS 'Events that count towards a rule with after above 1, one a message. A delivery takes those of bounces away.';

--
-- Name: COLUMN suppression_strikes.reason; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.suppression_strikes.reason IS 'hard_bounce, soft_bounce …; with @ and a tenant where the event is one that nobody vouches for.';

--
-- Name: system_events; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.system_events (
    event_id bigint DEFAULT nextval('postroad.event_id_seq'::regclass) NOT NULL,
    xid bigint DEFAULT txid_current() NOT NULL,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    subject text COLLATE pg_catalog."C",
    detail jsonb
);

--
-- Name: TABLE system_events; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.system_events IS 'What happened to the system rather than to a message: append-only, rare. See postroad.emit_system_event.';

--
-- Name: COLUMN system_events.kind; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.system_events.kind IS 'Such as gateway_health_changed; readers see it as system.gateway_health_changed.';

--
-- Name: COLUMN system_events.subject; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.system_events.subject IS 'What it happened to: a gateway, a channel, a limit. Never an address.';

--
-- Name: COLUMN system_events.detail; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.system_events.detail IS 'More of it. An address may stand in detail.address only, a tenant in detail.tenant_id.';

--
-- Name: system_log; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.system_log AS
 SELECT s.event_id,
    s.occurred_at,
    s.kind,
    s.subject,
    (s.detail - 'address'::text) AS detail
   FROM postroad.system_events s;

--
-- Name: VIEW system_log; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.system_log IS 'System events, without addresses; ask with occurred_at >= ….';

--
-- Name: unknown_messages; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.unknown_messages AS
 SELECT e.message_id,
    e.occurred_at AS unknown_since,
    m.channel,
    ('P'::text || m.priority) AS priority,
    m.message_type,
    m.tenant_id,
    m.source_type,
    m.source_id,
    e.gateway,
    e.attempt,
    e.reason
   FROM (postroad.delivery_events e
     LEFT JOIN postroad.messages m ON ((m.message_id = e.message_id)))
  WHERE ((e.event_type = 'unknown'::text) AND (NOT (EXISTS ( SELECT
           FROM postroad.delivery_events x
          WHERE ((x.message_id = e.message_id) AND (x.event_type = 'unknown'::text) AND (ROW(x.occurred_at, x.event_id) > ROW(e.occurred_at, e.event_id)))))) AND (( SELECT s.status
           FROM postroad.status(e.message_id) s(id, status, channel, priority, message_type, attempts, created_at, due_at, sent_at, delivered_at, updated_at, gateway, external_id, reason, error)) = 'unknown'::text));

--
-- Name: VIEW unknown_messages; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.unknown_messages IS 'Messages that may have gone out or not, and are held until an event of their gateway or settle says more: select postroad.settle(message_id, ''failed'') from postroad.unknown_messages
where reason = ''worker_crashed''.';

--
-- Name: unplaced_events_count_id_seq; Type: SEQUENCE; Schema: postroad; Owner: -
--

ALTER TABLE postroad.unplaced_events ALTER COLUMN count_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME postroad.unplaced_events_count_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: webhook_batches; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.webhook_batches (
    batch_id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    gateway text NOT NULL COLLATE pg_catalog."C",
    is_replay boolean DEFAULT false NOT NULL,
    inbox_ids bigint[] NOT NULL
);

--
-- Name: TABLE webhook_batches; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.webhook_batches IS 'Requests in the inbox that wait to be read, a row a batch: inserted with them, deleted in the transaction that records their events.';

--
-- Name: webhook_batches_batch_id_seq; Type: SEQUENCE; Schema: postroad; Owner: -
--

ALTER TABLE postroad.webhook_batches ALTER COLUMN batch_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME postroad.webhook_batches_batch_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: webhook_counts; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.webhook_counts (
    gateway text NOT NULL COLLATE pg_catalog."C",
    stored bigint DEFAULT 0 NOT NULL,
    parsed bigint DEFAULT 0 NOT NULL,
    errors bigint DEFAULT 0 NOT NULL,
    events bigint DEFAULT 0 NOT NULL,
    last_at timestamp with time zone NOT NULL
)
WITH (fillfactor='50');

--
-- Name: TABLE webhook_counts; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.webhook_counts IS 'What became of the requests in the inbox, a row a gateway, kept by those who read them. What still waits is not in it.';

--
-- Name: webhook_deliveries; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.webhook_deliveries AS
 SELECT o.delivery_id,
    o.endpoint_id,
    split_part(e.url, '?'::text, 1) AS url,
    o.webhook_id,
    o.event_type,
    o.created_at,
    o.attempts,
    o.last_status,
    o.last_error,
    o.due_at,
        CASE
            WHEN ((o.finished_at IS NULL) AND (e.disabled_at IS NOT NULL)) THEN 'held'::text
            WHEN (o.finished_at IS NULL) THEN 'waiting'::text
            WHEN (o.last_error IS NULL) THEN 'delivered'::text
            ELSE 'given_up'::text
        END AS state,
    o.finished_at
   FROM (postroad.webhook_outbox o
     JOIN postroad.webhook_endpoints e USING (endpoint_id));

--
-- Name: VIEW webhook_deliveries; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.webhook_deliveries IS 'Events on their way to endpoints and what became of them; ask with created_at >= …. held: its endpoint is disabled. given_up: all its attempts failed.';

--
-- Name: webhook_endpoints_endpoint_id_seq; Type: SEQUENCE; Schema: postroad; Owner: -
--

ALTER TABLE postroad.webhook_endpoints ALTER COLUMN endpoint_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME postroad.webhook_endpoints_endpoint_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: webhook_errors; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.webhook_errors (
    inbox_id bigint NOT NULL,
    failed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    error text NOT NULL
);

--
-- Name: TABLE webhook_errors; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.webhook_errors IS 'Requests in the inbox that could not be read, and why. postroad.replay_webhooks has them read again.';

--
-- Name: webhook_inbox; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.webhook_inbox (
    inbox_id bigint NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    gateway text NOT NULL COLLATE pg_catalog."C",
    delivery_key text NOT NULL COLLATE pg_catalog."C",
    replay_key text COLLATE pg_catalog."C",
    query text,
    content_type text,
    body bytea NOT NULL
);

--
-- Name: TABLE webhook_inbox; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.webhook_inbox IS 'Verified requests of providers, as they came: inserted, never updated, deleted past retention.';

--
-- Name: COLUMN webhook_inbox.delivery_key; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.webhook_inbox.delivery_key IS 'The provider''s id of the delivery, or the hash of the body: a repeated delivery is stored once.';

--
-- Name: COLUMN webhook_inbox.replay_key; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON COLUMN postroad.webhook_inbox.replay_key IS 'A token or signature that is good for one delivery: another one that carries it is forged.';

--
-- Name: webhook_failures; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.webhook_failures AS
 SELECT i.inbox_id,
    i.received_at,
    i.gateway,
    x.failed_at,
    x.error,
    i.content_type,
    octet_length(i.body) AS size_bytes
   FROM (postroad.webhook_errors x
     JOIN postroad.webhook_inbox i USING (inbox_id));

--
-- Name: VIEW webhook_failures; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.webhook_failures IS 'Webhook requests that could not be read, and why. postroad.replay_webhooks has them read again.';

--
-- Name: webhook_inbox_inbox_id_seq; Type: SEQUENCE; Schema: postroad; Owner: -
--

ALTER TABLE postroad.webhook_inbox ALTER COLUMN inbox_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME postroad.webhook_inbox_inbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: webhook_outbox_delivery_id_seq; Type: SEQUENCE; Schema: postroad; Owner: -
--

ALTER TABLE postroad.webhook_outbox ALTER COLUMN delivery_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME postroad.webhook_outbox_delivery_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: webhook_secrets; Type: TABLE; Schema: postroad; Owner: -
--

CREATE TABLE postroad.webhook_secrets (
    endpoint_id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    valid_until timestamp with time zone,
    secret text NOT NULL
);

ALTER TABLE ONLY postroad.webhook_secrets REPLICA IDENTITY FULL;

--
-- Name: TABLE webhook_secrets; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON TABLE postroad.webhook_secrets IS 'What signs the requests to an endpoint: the one without end, and for a while those that it replaced.';

--
-- Name: webhook_stats; Type: VIEW; Schema: postroad; Owner: -
--

CREATE VIEW postroad.webhook_stats AS
 SELECT gateway,
    (COALESCE(c.stored, (0)::bigint) + COALESCE(w.new_requests, (0)::bigint)) AS stored,
    COALESCE(c.parsed, (0)::bigint) AS parsed,
    COALESCE(c.errors, (0)::bigint) AS errors,
    COALESCE(w.requests, (0)::bigint) AS waiting,
    w.oldest_at,
    COALESCE(c.events, (0)::bigint) AS events,
    c.last_at
   FROM (postroad.webhook_counts c
     FULL JOIN ( SELECT b.gateway,
            sum(cardinality(b.inbox_ids)) AS requests,
            COALESCE(sum(cardinality(b.inbox_ids)) FILTER (WHERE (NOT b.is_replay)), (0)::bigint) AS new_requests,
            min(b.created_at) AS oldest_at
           FROM postroad.webhook_batches b
          GROUP BY b.gateway) w USING (gateway));

--
-- Name: VIEW webhook_stats; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON VIEW postroad.webhook_stats IS 'Each gateway''s webhook requests since the beginning: stored (each delivery once), read, not readable (see webhook_failures and replay_webhooks), waiting to be read and since
when; the events that came of them, and when the last ones were read. Counters, not counts: as cheap at any size.';

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
-- Name: webhook_inbox a_delivery_is_stored_once; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.webhook_inbox
    ADD CONSTRAINT a_delivery_is_stored_once UNIQUE (gateway, delivery_key);

--
-- Name: address_key address_key_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.address_key
    ADD CONSTRAINT address_key_pkey PRIMARY KEY (is_single);

--
-- Name: api_keys api_keys_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (key_id);

--
-- Name: api_routes api_routes_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.api_routes
    ADD CONSTRAINT api_routes_pkey PRIMARY KEY (method, path);

--
-- Name: audit_log audit_log_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (audit_id);

--
-- Name: bulk_transactions bulk_transactions_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.bulk_transactions
    ADD CONSTRAINT bulk_transactions_pkey PRIMARY KEY (batch_id, xid);

--
-- Name: channel_health channel_health_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.channel_health
    ADD CONSTRAINT channel_health_pkey PRIMARY KEY (gateway, channel);

--
-- Name: consumers consumers_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.consumers
    ADD CONSTRAINT consumers_pkey PRIMARY KEY (consumer);

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
-- Name: event_minutes event_minutes_are_unique; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.event_minutes
    ADD CONSTRAINT event_minutes_are_unique UNIQUE NULLS NOT DISTINCT (minute, event_type, channel, gateway);

--
-- Name: event_ticks event_ticks_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.event_ticks
    ADD CONSTRAINT event_ticks_pkey PRIMARY KEY (at);

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
-- Name: api_keys hashes_are_unique; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.api_keys
    ADD CONSTRAINT hashes_are_unique UNIQUE (hash);

--
-- Name: http_idempotency http_idempotency_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.http_idempotency
    ADD CONSTRAINT http_idempotency_pkey PRIMARY KEY (caller, key);

--
-- Name: idempotency_keys idempotency_keys_are_unique; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.idempotency_keys
    ADD CONSTRAINT idempotency_keys_are_unique UNIQUE NULLS NOT DISTINCT (tenant_id, key);

--
-- Name: inbound_messages inbound_messages_are_unique; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.inbound_messages
    ADD CONSTRAINT inbound_messages_are_unique UNIQUE (gateway, source_key);

--
-- Name: inbound_messages inbound_messages_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.inbound_messages
    ADD CONSTRAINT inbound_messages_pkey PRIMARY KEY (message_id);

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
-- Name: message_counters message_counters_are_unique; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.message_counters
    ADD CONSTRAINT message_counters_are_unique UNIQUE NULLS NOT DISTINCT (day, event_type, channel, gateway, message_type, source_type, tenant_id);

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
-- Name: sms_replies sms_replies_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.sms_replies
    ADD CONSTRAINT sms_replies_pkey PRIMARY KEY (wish);

--
-- Name: suppression_list suppression_list_is_unique; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.suppression_list
    ADD CONSTRAINT suppression_list_is_unique UNIQUE NULLS NOT DISTINCT (address, channel, tenant_id);

--
-- Name: suppression_rules suppression_rules_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.suppression_rules
    ADD CONSTRAINT suppression_rules_pkey PRIMARY KEY (reason);

--
-- Name: suppression_strikes suppression_strikes_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.suppression_strikes
    ADD CONSTRAINT suppression_strikes_pkey PRIMARY KEY (address, channel, reason, message_id);

--
-- Name: system_events system_events_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.system_events
    ADD CONSTRAINT system_events_pkey PRIMARY KEY (event_id);

--
-- Name: unplaced_events unplaced_events_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.unplaced_events
    ADD CONSTRAINT unplaced_events_pkey PRIMARY KEY (count_id);

--
-- Name: webhook_batches webhook_batches_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.webhook_batches
    ADD CONSTRAINT webhook_batches_pkey PRIMARY KEY (batch_id);

--
-- Name: webhook_counts webhook_counts_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.webhook_counts
    ADD CONSTRAINT webhook_counts_pkey PRIMARY KEY (gateway);

--
-- Name: webhook_endpoints webhook_endpoints_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (endpoint_id);

--
-- Name: webhook_errors webhook_errors_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.webhook_errors
    ADD CONSTRAINT webhook_errors_pkey PRIMARY KEY (inbox_id);

--
-- Name: webhook_inbox webhook_inbox_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.webhook_inbox
    ADD CONSTRAINT webhook_inbox_pkey PRIMARY KEY (inbox_id);

--
-- Name: webhook_outbox webhook_outbox_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.webhook_outbox
    ADD CONSTRAINT webhook_outbox_pkey PRIMARY KEY (delivery_id);

--
-- Name: worker_sessions worker_sessions_pkey; Type: CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.worker_sessions
    ADD CONSTRAINT worker_sessions_pkey PRIMARY KEY (worker_id);

--
-- Name: delivery_events_external; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX delivery_events_external ON ONLY postroad.delivery_events USING btree (external_id) WHERE ((event_type = 'sent'::text) AND (gateway >= 'ovh'::text) AND (gateway < 'ovi'::text));

--
-- Name: INDEX delivery_events_external; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.delivery_events_external IS 'record_events: the message of a provider''s id';

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
-- Name: delivery_events_xid; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX delivery_events_xid ON ONLY postroad.delivery_events USING brin (xid) WITH (pages_per_range='64');

--
-- Name: INDEX delivery_events_xid; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.delivery_events_xid IS 'read_events, count_events; see summarize_events';

--
-- Name: event_tallies_xid; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX event_tallies_xid ON postroad.event_tallies USING btree (xid);

--
-- Name: INDEX event_tallies_xid; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.event_tallies_xid IS 'count_events: what it deleted it visits no more, however long a snapshot keeps it';

--
-- Name: health_log_changed_at; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX health_log_changed_at ON postroad.health_log USING brin (changed_at);

--
-- Name: http_idempotency_created_at; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX http_idempotency_created_at ON postroad.http_idempotency USING brin (created_at);

--
-- Name: INDEX http_idempotency_created_at; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.http_idempotency_created_at IS 'purge_idempotency_keys';

--
-- Name: idempotency_keys_created_at; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX idempotency_keys_created_at ON postroad.idempotency_keys USING brin (created_at);

--
-- Name: INDEX idempotency_keys_created_at; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.idempotency_keys_created_at IS 'purge_idempotency_keys';

--
-- Name: inbound_messages_received_at; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX inbound_messages_received_at ON postroad.inbound_messages USING brin (received_at);

--
-- Name: INDEX inbound_messages_received_at; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.inbound_messages_received_at IS 'purge_reports';

--
-- Name: intents_lease; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX intents_lease ON postroad.intents USING btree (lease_id);

--
-- Name: INDEX intents_lease; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.intents_lease IS 'rescue, complete';

--
-- Name: late_events_external_id_idx; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX late_events_external_id_idx ON postroad.late_events USING btree (external_id) WHERE ((event_type = 'sent'::text) AND (gateway >= 'ovh'::text) AND (gateway < 'ovi'::text));

--
-- Name: late_events_message_id_event_type_source_key_idx; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX late_events_message_id_event_type_source_key_idx ON postroad.late_events USING btree (message_id, event_type, source_key) WHERE (source_key IS NOT NULL);

--
-- Name: late_events_message_id_lease_id_event_type_idx; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX late_events_message_id_lease_id_event_type_idx ON postroad.late_events USING btree (message_id, lease_id, event_type);

--
-- Name: late_events_occurred_at; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX late_events_occurred_at ON postroad.late_events USING brin (occurred_at);

--
-- Name: INDEX late_events_occurred_at; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.late_events_occurred_at IS 'purge_events';

--
-- Name: late_events_occurred_at_idx; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX late_events_occurred_at_idx ON postroad.late_events USING btree (occurred_at) WHERE (event_type = ANY (ARRAY['failed'::text, 'bounced'::text]));

--
-- Name: late_events_occurred_at_idx1; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX late_events_occurred_at_idx1 ON postroad.late_events USING btree (occurred_at) WHERE (event_type = 'unknown'::text);

--
-- Name: late_events_xid_idx; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX late_events_xid_idx ON postroad.late_events USING brin (xid) WITH (pages_per_range='64');

--
-- Name: message_queue_p0_message_id; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX message_queue_p0_message_id ON postroad.message_queue_p0 USING btree (message_id);

ALTER TABLE ONLY postroad.message_queue_p0 REPLICA IDENTITY USING INDEX message_queue_p0_message_id;

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

ALTER TABLE ONLY postroad.message_queue_p1 REPLICA IDENTITY USING INDEX message_queue_p1_message_id;

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

ALTER TABLE ONLY postroad.message_queue_p2 REPLICA IDENTITY USING INDEX message_queue_p2_message_id;

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

ALTER TABLE ONLY postroad.message_queue_p3 REPLICA IDENTITY USING INDEX message_queue_p3_message_id;

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

ALTER TABLE ONLY postroad.message_queue_p4 REPLICA IDENTITY USING INDEX message_queue_p4_message_id;

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
-- Name: messages_tenant; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX messages_tenant ON ONLY postroad.messages USING btree (tenant_id, message_id) WHERE (tenant_id IS NOT NULL);

--
-- Name: INDEX messages_tenant; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.messages_tenant IS 'list_messages of a tenant';

--
-- Name: messages_default_tenant_id_message_id_idx; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX messages_default_tenant_id_message_id_idx ON postroad.messages_default USING btree (tenant_id, message_id) WHERE (tenant_id IS NOT NULL);

--
-- Name: messages_xid; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX messages_xid ON ONLY postroad.messages USING brin (xid) WITH (pages_per_range='64');

--
-- Name: INDEX messages_xid; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.messages_xid IS 'read_events, count_events; see summarize_events';

--
-- Name: messages_default_xid_idx; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX messages_default_xid_idx ON postroad.messages_default USING brin (xid) WITH (pages_per_range='64');

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
-- Name: suppression_list_by_address; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX suppression_list_by_address ON postroad.suppression_list USING hash (address);

--
-- Name: suppression_strikes_occurred_at; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX suppression_strikes_occurred_at ON postroad.suppression_strikes USING brin (occurred_at);

--
-- Name: INDEX suppression_strikes_occurred_at; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.suppression_strikes_occurred_at IS 'purge_reports';

--
-- Name: system_events_occurred_at; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX system_events_occurred_at ON postroad.system_events USING brin (occurred_at);

--
-- Name: INDEX system_events_occurred_at; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.system_events_occurred_at IS 'purge_events';

--
-- Name: system_events_xid; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX system_events_xid ON postroad.system_events USING btree (xid);

--
-- Name: INDEX system_events_xid; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.system_events_xid IS 'read_events';

--
-- Name: unplaced_events_day; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX unplaced_events_day ON postroad.unplaced_events USING btree (day, gateway, cause);

--
-- Name: INDEX unplaced_events_day; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.unplaced_events_day IS 'leave_out';

--
-- Name: webhook_inbox_received_at; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX webhook_inbox_received_at ON postroad.webhook_inbox USING brin (received_at);

--
-- Name: INDEX webhook_inbox_received_at; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.webhook_inbox_received_at IS 'purge_webhooks, replay_webhooks';

--
-- Name: webhook_inbox_replay_key; Type: INDEX; Schema: postroad; Owner: -
--

CREATE UNIQUE INDEX webhook_inbox_replay_key ON postroad.webhook_inbox USING btree (gateway, replay_key) WHERE (replay_key IS NOT NULL);

--
-- Name: INDEX webhook_inbox_replay_key; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.webhook_inbox_replay_key IS 'store_webhooks: a captured token is used once, on any node, also after a restart';

--
-- Name: webhook_outbox_due; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX webhook_outbox_due ON postroad.webhook_outbox USING btree (endpoint_id, due_at, delivery_id) WHERE (due_at IS NOT NULL);

--
-- Name: INDEX webhook_outbox_due; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.webhook_outbox_due IS 'claim_webhooks';

--
-- Name: webhook_outbox_finished; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX webhook_outbox_finished ON postroad.webhook_outbox USING brin (created_at);

--
-- Name: INDEX webhook_outbox_finished; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.webhook_outbox_finished IS 'purge_events';

--
-- Name: webhook_secrets_endpoint; Type: INDEX; Schema: postroad; Owner: -
--

CREATE INDEX webhook_secrets_endpoint ON postroad.webhook_secrets USING btree (endpoint_id);

--
-- Name: INDEX webhook_secrets_endpoint; Type: COMMENT; Schema: postroad; Owner: -
--

COMMENT ON INDEX postroad.webhook_secrets_endpoint IS 'claim_webhooks';

--
-- Name: contents_default_pkey; Type: INDEX ATTACH; Schema: postroad; Owner: -
--

ALTER INDEX postroad.contents_pkey ATTACH PARTITION postroad.contents_default_pkey;

--
-- Name: late_events_external_id_idx; Type: INDEX ATTACH; Schema: postroad; Owner: -
--

ALTER INDEX postroad.delivery_events_external ATTACH PARTITION postroad.late_events_external_id_idx;

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
-- Name: late_events_xid_idx; Type: INDEX ATTACH; Schema: postroad; Owner: -
--

ALTER INDEX postroad.delivery_events_xid ATTACH PARTITION postroad.late_events_xid_idx;

--
-- Name: messages_default_pkey; Type: INDEX ATTACH; Schema: postroad; Owner: -
--

ALTER INDEX postroad.messages_pkey ATTACH PARTITION postroad.messages_default_pkey;

--
-- Name: messages_default_tenant_id_message_id_idx; Type: INDEX ATTACH; Schema: postroad; Owner: -
--

ALTER INDEX postroad.messages_tenant ATTACH PARTITION postroad.messages_default_tenant_id_message_id_idx;

--
-- Name: messages_default_xid_idx; Type: INDEX ATTACH; Schema: postroad; Owner: -
--

ALTER INDEX postroad.messages_xid ATTACH PARTITION postroad.messages_default_xid_idx;

--
-- Name: webhook_outbox webhook_outbox_endpoint; Type: FK CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.webhook_outbox
    ADD CONSTRAINT webhook_outbox_endpoint FOREIGN KEY (endpoint_id) REFERENCES postroad.webhook_endpoints(endpoint_id) ON DELETE CASCADE;

--
-- Name: webhook_secrets webhook_secrets_endpoint; Type: FK CONSTRAINT; Schema: postroad; Owner: -
--

ALTER TABLE ONLY postroad.webhook_secrets
    ADD CONSTRAINT webhook_secrets_endpoint FOREIGN KEY (endpoint_id) REFERENCES postroad.webhook_endpoints(endpoint_id) ON DELETE CASCADE;

--
-- Name: api_keys; Type: ROW SECURITY; Schema: postroad; Owner: -
--

ALTER TABLE postroad.api_keys ENABLE ROW LEVEL SECURITY;

--
-- Name: audit_log; Type: ROW SECURITY; Schema: postroad; Owner: -
--

ALTER TABLE postroad.audit_log ENABLE ROW LEVEL SECURITY;

--
-- Name: delivery_events; Type: ROW SECURITY; Schema: postroad; Owner: -
--

ALTER TABLE postroad.delivery_events ENABLE ROW LEVEL SECURITY;

--
-- Name: api_keys everything; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY everything ON postroad.api_keys TO postroad_functions USING (true) WITH CHECK (true);

--
-- Name: audit_log everything; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY everything ON postroad.audit_log TO postroad_functions USING (true) WITH CHECK (true);

--
-- Name: delivery_events everything; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY everything ON postroad.delivery_events TO postroad_functions USING (true) WITH CHECK (true);

--
-- Name: message_queue everything; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY everything ON postroad.message_queue TO postroad_functions USING (true) WITH CHECK (true);

--
-- Name: messages everything; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY everything ON postroad.messages TO postroad_functions USING (true) WITH CHECK (true);

--
-- Name: messages_kept everything; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY everything ON postroad.messages_kept TO postroad_functions USING (true) WITH CHECK (true);

--
-- Name: scheduled everything; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY everything ON postroad.scheduled TO postroad_functions USING (true) WITH CHECK (true);

--
-- Name: suppression_list everything; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY everything ON postroad.suppression_list TO postroad_functions USING (true) WITH CHECK (true);

--
-- Name: message_queue; Type: ROW SECURITY; Schema: postroad; Owner: -
--

ALTER TABLE postroad.message_queue ENABLE ROW LEVEL SECURITY;

--
-- Name: messages; Type: ROW SECURITY; Schema: postroad; Owner: -
--

ALTER TABLE postroad.messages ENABLE ROW LEVEL SECURITY;

--
-- Name: messages_kept; Type: ROW SECURITY; Schema: postroad; Owner: -
--

ALTER TABLE postroad.messages_kept ENABLE ROW LEVEL SECURITY;

--
-- Name: api_keys own_tenant; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY own_tenant ON postroad.api_keys TO postroad_bound_functions USING (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (tenant_id = (NULLIF(current_setting('postroad.tenant'::text, true), ''::text))::bigint))) WITH CHECK (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (tenant_id = (NULLIF(current_setting('postroad.tenant'::text, true), ''::text))::bigint)));

--
-- Name: audit_log own_tenant; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY own_tenant ON postroad.audit_log TO postroad_bound_functions USING (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (tenant_id = (NULLIF(current_setting('postroad.tenant'::text, true), ''::text))::bigint))) WITH CHECK (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (tenant_id = (NULLIF(current_setting('postroad.tenant'::text, true), ''::text))::bigint)));

--
-- Name: delivery_events own_tenant; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY own_tenant ON postroad.delivery_events TO postroad_bound_functions USING (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (EXISTS ( SELECT
   FROM postroad.messages m
  WHERE (m.message_id = delivery_events.message_id))) OR (EXISTS ( SELECT
   FROM postroad.messages_kept k
  WHERE (k.message_id = delivery_events.message_id))))) WITH CHECK (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (EXISTS ( SELECT
   FROM postroad.messages m
  WHERE (m.message_id = delivery_events.message_id))) OR (EXISTS ( SELECT
   FROM postroad.messages_kept k
  WHERE (k.message_id = delivery_events.message_id)))));

--
-- Name: message_queue own_tenant; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY own_tenant ON postroad.message_queue TO postroad_bound_functions USING (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (EXISTS ( SELECT
   FROM postroad.messages m
  WHERE (m.message_id = message_queue.message_id))) OR (EXISTS ( SELECT
   FROM postroad.messages_kept k
  WHERE (k.message_id = message_queue.message_id))))) WITH CHECK (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (EXISTS ( SELECT
   FROM postroad.messages m
  WHERE (m.message_id = message_queue.message_id))) OR (EXISTS ( SELECT
   FROM postroad.messages_kept k
  WHERE (k.message_id = message_queue.message_id)))));

--
-- Name: messages own_tenant; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY own_tenant ON postroad.messages TO postroad_bound_functions USING (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (tenant_id = (NULLIF(current_setting('postroad.tenant'::text, true), ''::text))::bigint))) WITH CHECK (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (tenant_id = (NULLIF(current_setting('postroad.tenant'::text, true), ''::text))::bigint)));

--
-- Name: messages_kept own_tenant; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY own_tenant ON postroad.messages_kept TO postroad_bound_functions USING (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (tenant_id = (NULLIF(current_setting('postroad.tenant'::text, true), ''::text))::bigint))) WITH CHECK (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (tenant_id = (NULLIF(current_setting('postroad.tenant'::text, true), ''::text))::bigint)));

--
-- Name: scheduled own_tenant; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY own_tenant ON postroad.scheduled TO postroad_bound_functions USING (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (EXISTS ( SELECT
   FROM postroad.messages m
  WHERE (m.message_id = scheduled.message_id))) OR (EXISTS ( SELECT
   FROM postroad.messages_kept k
  WHERE (k.message_id = scheduled.message_id))))) WITH CHECK (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (EXISTS ( SELECT
   FROM postroad.messages m
  WHERE (m.message_id = scheduled.message_id))) OR (EXISTS ( SELECT
   FROM postroad.messages_kept k
  WHERE (k.message_id = scheduled.message_id)))));

--
-- Name: suppression_list own_tenant; Type: POLICY; Schema: postroad; Owner: -
--

CREATE POLICY own_tenant ON postroad.suppression_list TO postroad_bound_functions USING (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (tenant_id = (NULLIF(current_setting('postroad.tenant'::text, true), ''::text))::bigint))) WITH CHECK (((NULLIF(current_setting('postroad.tenant'::text, true), ''::text) IS NULL) OR (tenant_id = (NULLIF(current_setting('postroad.tenant'::text, true), ''::text))::bigint)));

--
-- Name: scheduled; Type: ROW SECURITY; Schema: postroad; Owner: -
--

ALTER TABLE postroad.scheduled ENABLE ROW LEVEL SECURITY;

--
-- Name: suppression_list; Type: ROW SECURITY; Schema: postroad; Owner: -
--

ALTER TABLE postroad.suppression_list ENABLE ROW LEVEL SECURITY;

--
-- Name: SCHEMA postroad; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA postroad TO postroad_sender;
GRANT USAGE ON SCHEMA postroad TO postroad_consumer;
GRANT USAGE ON SCHEMA postroad TO postroad_worker;
GRANT USAGE ON SCHEMA postroad TO postroad_webhook;
GRANT USAGE ON SCHEMA postroad TO postroad_admin;
GRANT USAGE ON SCHEMA postroad TO postroad_reader;
GRANT USAGE ON SCHEMA postroad TO postroad_http;
GRANT USAGE ON SCHEMA postroad TO postroad_functions;
GRANT USAGE ON SCHEMA postroad TO postroad_bound_functions;

--
-- Name: FUNCTION ack_events(consumer text, batch_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.ack_events(consumer text, batch_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.ack_events(consumer text, batch_id bigint) TO postroad_consumer;
GRANT ALL ON FUNCTION postroad.ack_events(consumer text, batch_id bigint) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.ack_events(consumer text, batch_id bigint) TO postroad_bound_functions;

--
-- Name: FUNCTION add_gateway_calls(gateways text[], channels text[], sent bigint[], failed bigint[], latencies jsonb, reasons text[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.add_gateway_calls(gateways text[], channels text[], sent bigint[], failed bigint[], latencies jsonb, reasons text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.add_gateway_calls(gateways text[], channels text[], sent bigint[], failed bigint[], latencies jsonb, reasons text[]) TO postroad_worker;

--
-- Name: FUNCTION add_webhook_endpoint(url text, event_types text[], channels text[], tenant_id bigint, include_addresses boolean, description text, secret text, OUT endpoint_id bigint, OUT signing_secret text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.add_webhook_endpoint(url text, event_types text[], channels text[], tenant_id bigint, include_addresses boolean, description text, secret text, OUT endpoint_id bigint, OUT signing_secret text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.add_webhook_endpoint(url text, event_types text[], channels text[], tenant_id bigint, include_addresses boolean, description text, secret text, OUT endpoint_id bigint, OUT signing_secret text) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.add_webhook_endpoint(url text, event_types text[], channels text[], tenant_id bigint, include_addresses boolean, description text, secret text, OUT endpoint_id bigint, OUT signing_secret text) TO postroad_bound_functions;

--
-- Name: FUNCTION address_hash(address text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.address_hash(address text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.address_hash(address text) TO postroad_bound_functions;

--
-- Name: SEQUENCE event_id_seq; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.event_id_seq TO postroad_functions;
GRANT SELECT,USAGE ON SEQUENCE postroad.event_id_seq TO postroad_bound_functions;

--
-- Name: TABLE delivery_events; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.delivery_events TO postroad_functions;
GRANT SELECT,INSERT ON TABLE postroad.delivery_events TO postroad_bound_functions;

--
-- Name: FUNCTION addressee_of(event postroad.delivery_events, channel text, recipient text, options jsonb, content_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.addressee_of(event postroad.delivery_events, channel text, recipient text, options jsonb, content_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.addressee_of(event postroad.delivery_events, channel text, recipient text, options jsonb, content_id uuid) TO postroad_bound_functions;

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
-- Name: FUNCTION answer_wishes(message_ids uuid[], event_ids bigint[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.answer_wishes(message_ids uuid[], event_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.answer_wishes(message_ids uuid[], event_ids bigint[]) TO postroad_bound_functions;

--
-- Name: FUNCTION audit(action text, target text, before jsonb, after jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.audit(action text, target text, before jsonb, after jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.audit(action text, target text, before jsonb, after jsonb) TO postroad_bound_functions;

--
-- Name: FUNCTION audit_counters(day date); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.audit_counters(day date) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.audit_counters(day date) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.audit_counters(day date) TO postroad_bound_functions;

--
-- Name: FUNCTION audit_target(channel text, address text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.audit_target(channel text, address text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.audit_target(channel text, address text) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.audit_target(channel text, address text) TO postroad_bound_functions;

--
-- Name: FUNCTION audit_trail(since timestamp with time zone, max_count integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.audit_trail(since timestamp with time zone, max_count integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.audit_trail(since timestamp with time zone, max_count integer) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.audit_trail(since timestamp with time zone, max_count integer) TO postroad_functions;

--
-- Name: FUNCTION batch_of(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.batch_of(message_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.batch_of(message_id uuid) TO postroad_bound_functions;

--
-- Name: FUNCTION begin_bulk(channel text, subject text, body text, html text, template text, data jsonb, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, tenant_id bigint, options jsonb, rest jsonb, OUT batch_id uuid, OUT priority_number smallint, OUT verdict text, OUT reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.begin_bulk(channel text, subject text, body text, html text, template text, data jsonb, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, tenant_id bigint, options jsonb, rest jsonb, OUT batch_id uuid, OUT priority_number smallint, OUT verdict text, OUT reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.begin_bulk(channel text, subject text, body text, html text, template text, data jsonb, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, tenant_id bigint, options jsonb, rest jsonb, OUT batch_id uuid, OUT priority_number smallint, OUT verdict text, OUT reason text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.begin_bulk(channel text, subject text, body text, html text, template text, data jsonb, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, tenant_id bigint, options jsonb, rest jsonb, OUT batch_id uuid, OUT priority_number smallint, OUT verdict text, OUT reason text) TO postroad_bound_functions;

--
-- Name: FUNCTION begin_call(caller jsonb, parameters jsonb, body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.begin_call(caller jsonb, parameters jsonb, body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.begin_call(caller jsonb, parameters jsonb, body jsonb) TO postroad_http;

--
-- Name: FUNCTION bounded_scheduled(priority smallint, is_parked boolean); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.bounded_scheduled(priority smallint, is_parked boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.bounded_scheduled(priority smallint, is_parked boolean) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.bounded_scheduled(priority smallint, is_parked boolean) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.bounded_scheduled(priority smallint, is_parked boolean) TO postroad_bound_functions;

--
-- Name: FUNCTION bulk_problem(call jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.bulk_problem(call jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.bulk_problem(call jsonb) TO postroad_bound_functions;

--
-- Name: FUNCTION bulk_status(batch_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.bulk_status(batch_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.bulk_status(batch_id uuid) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.bulk_status(batch_id uuid) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.bulk_status(batch_id uuid) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.bulk_status(batch_id uuid) TO postroad_functions;

--
-- Name: FUNCTION cancel(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.cancel(message_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.cancel(message_id uuid) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.cancel(message_id uuid) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.cancel(message_id uuid) TO postroad_functions;

--
-- Name: FUNCTION cancel_bulk(batch_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.cancel_bulk(batch_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.cancel_bulk(batch_id uuid) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.cancel_bulk(batch_id uuid) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.cancel_bulk(batch_id uuid) TO postroad_functions;

--
-- Name: FUNCTION check_api_key(hash bytea, OUT key_id bigint, OUT tenant_id bigint, OUT roles text[], OUT requests_per_second integer, OUT refusal text, OUT seconds_left double precision); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.check_api_key(hash bytea, OUT key_id bigint, OUT tenant_id bigint, OUT roles text[], OUT requests_per_second integer, OUT refusal text, OUT seconds_left double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.check_api_key(hash bytea, OUT key_id bigint, OUT tenant_id bigint, OUT roles text[], OUT requests_per_second integer, OUT refusal text, OUT seconds_left double precision) TO postroad_http;

--
-- Name: FUNCTION check_call(channel text, message_type text, priority text, subject text, body text, html text, template text, data jsonb, scheduled_for timestamp with time zone, expires_at timestamp with time zone, tenant_id bigint, idempotency_key text, options jsonb, OUT priority_number smallint, OUT reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.check_call(channel text, message_type text, priority text, subject text, body text, html text, template text, data jsonb, scheduled_for timestamp with time zone, expires_at timestamp with time zone, tenant_id bigint, idempotency_key text, options jsonb, OUT priority_number smallint, OUT reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.check_call(channel text, message_type text, priority text, subject text, body text, html text, template text, data jsonb, scheduled_for timestamp with time zone, expires_at timestamp with time zone, tenant_id bigint, idempotency_key text, options jsonb, OUT priority_number smallint, OUT reason text) TO postroad_bound_functions;

--
-- Name: FUNCTION check_consumer_owner(consumer text, owner text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.check_consumer_owner(consumer text, owner text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.check_consumer_owner(consumer text, owner text) TO postroad_bound_functions;

--
-- Name: FUNCTION check_endpoint(url text, event_types text[], channels text[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.check_endpoint(url text, event_types text[], channels text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.check_endpoint(url text, event_types text[], channels text[]) TO postroad_bound_functions;

--
-- Name: FUNCTION check_header_names(channel text, headers jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.check_header_names(channel text, headers jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.check_header_names(channel text, headers jsonb) TO postroad_bound_functions;

--
-- Name: FUNCTION check_options(channel text, options jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.check_options(channel text, options jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.check_options(channel text, options jsonb) TO postroad_bound_functions;

--
-- Name: FUNCTION check_push(push jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.check_push(push jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.check_push(push jsonb) TO postroad_bound_functions;

--
-- Name: FUNCTION checked_secret(secret text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.checked_secret(secret text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.checked_secret(secret text) TO postroad_bound_functions;

--
-- Name: FUNCTION claim(priority smallint, lease_id uuid, worker_id bigint, max_count integer, max_kb integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.claim(priority smallint, lease_id uuid, worker_id bigint, max_count integer, max_kb integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.claim(priority smallint, lease_id uuid, worker_id bigint, max_count integer, max_kb integer) TO postroad_worker;

--
-- Name: FUNCTION claim_webhooks(max_each integer, busy bigint[], hold interval, known bigint[], after timestamp with time zone[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.claim_webhooks(max_each integer, busy bigint[], hold interval, known bigint[], after timestamp with time zone[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.claim_webhooks(max_each integer, busy bigint[], hold interval, known bigint[], after timestamp with time zone[]) TO postroad_worker;

--
-- Name: TABLE consumers; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.consumers TO postroad_functions;

--
-- Name: FUNCTION close_batch(reader postroad.consumers); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.close_batch(reader postroad.consumers) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.close_batch(reader postroad.consumers) TO postroad_bound_functions;

--
-- Name: FUNCTION complete(lease_ids uuid[], message_ids uuid[], event_types text[], attempts smallint[], gateways text[], external_ids text[], reasons text[], details jsonb[], retry_seconds double precision[], counted boolean[], pause_ids bigint[], finished uuid[], tallies jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.complete(lease_ids uuid[], message_ids uuid[], event_types text[], attempts smallint[], gateways text[], external_ids text[], reasons text[], details jsonb[], retry_seconds double precision[], counted boolean[], pause_ids bigint[], finished uuid[], tallies jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.complete(lease_ids uuid[], message_ids uuid[], event_types text[], attempts smallint[], gateways text[], external_ids text[], reasons text[], details jsonb[], retry_seconds double precision[], counted boolean[], pause_ids bigint[], finished uuid[], tallies jsonb) TO postroad_worker;

--
-- Name: FUNCTION complete_webhook(delivery_id bigint, status integer, error text, retry_seconds double precision, disable_after interval); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.complete_webhook(delivery_id bigint, status integer, error text, retry_seconds double precision, disable_after interval) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.complete_webhook(delivery_id bigint, status integer, error text, retry_seconds double precision, disable_after interval) TO postroad_worker;

--
-- Name: FUNCTION consumer_owner(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.consumer_owner() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.consumer_owner() TO postroad_bound_functions;

--
-- Name: FUNCTION convert(message_id uuid, detail jsonb, key text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.convert(message_id uuid, detail jsonb, key text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.convert(message_id uuid, detail jsonb, key text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.convert(message_id uuid, detail jsonb, key text) TO postroad_functions;

--
-- Name: FUNCTION count_events(max_count integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.count_events(max_count integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.count_events(max_count integer) TO postroad_worker;

--
-- Name: FUNCTION create_api_key(name text, roles text[], tenant_id bigint, expires_at timestamp with time zone, requests_per_second integer, OUT key_id bigint, OUT key text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.create_api_key(name text, roles text[], tenant_id bigint, expires_at timestamp with time zone, requests_per_second integer, OUT key_id bigint, OUT key text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.create_api_key(name text, roles text[], tenant_id bigint, expires_at timestamp with time zone, requests_per_second integer, OUT key_id bigint, OUT key text) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.create_api_key(name text, roles text[], tenant_id bigint, expires_at timestamp with time zone, requests_per_second integer, OUT key_id bigint, OUT key text) TO postroad_functions;

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
GRANT ALL ON FUNCTION postroad.created_at(id uuid) TO postroad_bound_functions;

--
-- Name: FUNCTION day_of(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.day_of(message_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.day_of(message_id uuid) TO postroad_bound_functions;

--
-- Name: FUNCTION dispatch_events(max_count integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.dispatch_events(max_count integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.dispatch_events(max_count integer) TO postroad_worker;

--
-- Name: FUNCTION drop_partitions(retention interval); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.drop_partitions(retention interval) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.drop_partitions(retention interval) TO postroad_worker;

--
-- Name: FUNCTION emit_system_event(kind text, subject text, detail jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.emit_system_event(kind text, subject text, detail jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.emit_system_event(kind text, subject text, detail jsonb) TO postroad_bound_functions;

--
-- Name: FUNCTION endpoint_schema(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.endpoint_schema() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.endpoint_schema() TO postroad_bound_functions;

--
-- Name: FUNCTION enqueue(channel text, recipient text, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, recipient_type text, recipient_id bigint, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT message_id uuid, OUT status text, OUT reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.enqueue(channel text, recipient text, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, recipient_type text, recipient_id bigint, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT message_id uuid, OUT status text, OUT reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.enqueue(channel text, recipient text, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, recipient_type text, recipient_id bigint, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT message_id uuid, OUT status text, OUT reason text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.enqueue(channel text, recipient text, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, recipient_type text, recipient_id bigint, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT message_id uuid, OUT status text, OUT reason text) TO postroad_bound_functions;

--
-- Name: FUNCTION enqueue_bulk(channel text, recipients jsonb, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.enqueue_bulk(channel text, recipients jsonb, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.enqueue_bulk(channel text, recipients jsonb, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.enqueue_bulk(channel text, recipients jsonb, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text) TO postroad_bound_functions;

--
-- Name: FUNCTION enqueue_bulk_from(channel text, recipients regclass, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.enqueue_bulk_from(channel text, recipients regclass, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.enqueue_bulk_from(channel text, recipients regclass, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.enqueue_bulk_from(channel text, recipients regclass, subject text, body text, html text, template text, data jsonb, locale text, message_type text, priority text, scheduled_for timestamp with time zone, expires_at timestamp with time zone, idempotency_key text, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, options jsonb, OUT batch_id uuid, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer, OUT reason text) TO postroad_bound_functions;

--
-- Name: FUNCTION enqueue_rows(batch_id uuid, channel text, addresses text[], ids bigint[], types text[], locales text[], data jsonb[], message_type text, priority smallint, scheduled_for timestamp with time zone, expires_at timestamp with time zone, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, locale text, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.enqueue_rows(batch_id uuid, channel text, addresses text[], ids bigint[], types text[], locales text[], data jsonb[], message_type text, priority smallint, scheduled_for timestamp with time zone, expires_at timestamp with time zone, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, locale text, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.enqueue_rows(batch_id uuid, channel text, addresses text[], ids bigint[], types text[], locales text[], data jsonb[], message_type text, priority smallint, scheduled_for timestamp with time zone, expires_at timestamp with time zone, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, locale text, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.enqueue_rows(batch_id uuid, channel text, addresses text[], ids bigint[], types text[], locales text[], data jsonb[], message_type text, priority smallint, scheduled_for timestamp with time zone, expires_at timestamp with time zone, source_type text, source_id bigint, tenant_id bigint, ip_pool text, gateway text, locale text, OUT queued integer, OUT suppressed integer, OUT invalid integer, OUT duplicate integer) TO postroad_bound_functions;

--
-- Name: FUNCTION enqueuers(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.enqueuers() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.enqueuers() TO postroad_bound_functions;

--
-- Name: FUNCTION error_at(pointer text, detail text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.error_at(pointer text, detail text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.error_at(pointer text, detail text) TO postroad_bound_functions;

--
-- Name: FUNCTION event_bounds(xid bigint, OUT low uuid, OUT last uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.event_bounds(xid bigint, OUT low uuid, OUT last uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.event_bounds(xid bigint, OUT low uuid, OUT last uuid) TO postroad_bound_functions;

--
-- Name: FUNCTION event_key(event_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.event_key(event_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.event_key(event_id bigint) TO postroad_bound_functions;

--
-- Name: FUNCTION event_keys(xid bigint, low uuid, after uuid, last uuid, event_types text[], max_count integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.event_keys(xid bigint, low uuid, after uuid, last uuid, event_types text[], max_count integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.event_keys(xid bigint, low uuid, after uuid, last uuid, event_types text[], max_count integer) TO postroad_bound_functions;

--
-- Name: FUNCTION event_sizes(seen txid_snapshot, upto txid_snapshot, early bigint[], first bigint, last bigint, event_types text[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.event_sizes(seen txid_snapshot, upto txid_snapshot, early bigint[], first bigint, last bigint, event_types text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.event_sizes(seen txid_snapshot, upto txid_snapshot, early bigint[], first bigint, last bigint, event_types text[]) TO postroad_bound_functions;

--
-- Name: FUNCTION event_snapshot(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.event_snapshot() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.event_snapshot() TO postroad_bound_functions;

--
-- Name: FUNCTION events_in(reader postroad.consumers); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.events_in(reader postroad.consumers) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.events_in(reader postroad.consumers) TO postroad_bound_functions;

--
-- Name: FUNCTION events_of(xid bigint, after uuid, last uuid, event_types text[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.events_of(xid bigint, after uuid, last uuid, event_types text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.events_of(xid bigint, after uuid, last uuid, event_types text[]) TO postroad_bound_functions;

--
-- Name: FUNCTION explain(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.explain(message_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.explain(message_id uuid) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.explain(message_id uuid) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.explain(message_id uuid) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.explain(message_id uuid) TO postroad_functions;

--
-- Name: FUNCTION export_suppressions(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.export_suppressions() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.export_suppressions() TO postroad_admin;
GRANT ALL ON FUNCTION postroad.export_suppressions() TO postroad_bound_functions;

--
-- Name: FUNCTION fetch_contents(content_ids uuid[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.fetch_contents(content_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.fetch_contents(content_ids uuid[]) TO postroad_worker;

--
-- Name: FUNCTION figures(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.figures() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.figures() TO postroad_reader;
GRANT ALL ON FUNCTION postroad.figures() TO postroad_admin;
GRANT ALL ON FUNCTION postroad.figures() TO postroad_bound_functions;

--
-- Name: FUNCTION find_messages(address text, max_count integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.find_messages(address text, max_count integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.find_messages(address text, max_count integer) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.find_messages(address text, max_count integer) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.find_messages(address text, max_count integer) TO postroad_bound_functions;

--
-- Name: FUNCTION finish_webhooks(gateway text, batch_ids bigint[], events jsonb, unread_ids bigint[], unread_why text[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.finish_webhooks(gateway text, batch_ids bigint[], events jsonb, unread_ids bigint[], unread_why text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.finish_webhooks(gateway text, batch_ids bigint[], events jsonb, unread_ids bigint[], unread_why text[]) TO postroad_webhook;
GRANT ALL ON FUNCTION postroad.finish_webhooks(gateway text, batch_ids bigint[], events jsonb, unread_ids bigint[], unread_why text[]) TO postroad_bound_functions;

--
-- Name: FUNCTION fold_domain(domain text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.fold_domain(domain text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.fold_domain(domain text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.fold_domain(domain text) TO postroad_bound_functions;

--
-- Name: FUNCTION follow_bounces(message_ids uuid[], lease_ids uuid[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.follow_bounces(message_ids uuid[], lease_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.follow_bounces(message_ids uuid[], lease_ids uuid[]) TO postroad_bound_functions;

--
-- Name: FUNCTION follow_clock(back interval); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.follow_clock(back interval) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.follow_clock(back interval) TO postroad_worker;

--
-- Name: FUNCTION follow_events(message_ids uuid[], event_ids bigint[], lease_ids uuid[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.follow_events(message_ids uuid[], event_ids bigint[], lease_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.follow_events(message_ids uuid[], event_ids bigint[], lease_ids uuid[]) TO postroad_bound_functions;

--
-- Name: FUNCTION gate_is_open(priority smallint, p1_gate bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.gate_is_open(priority smallint, p1_gate bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.gate_is_open(priority smallint, p1_gate bigint) TO postroad_worker;

--
-- Name: FUNCTION gateway_figures(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.gateway_figures() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.gateway_figures() TO postroad_reader;
GRANT ALL ON FUNCTION postroad.gateway_figures() TO postroad_admin;
GRANT ALL ON FUNCTION postroad.gateway_figures() TO postroad_bound_functions;

--
-- Name: FUNCTION gateway_named(name text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.gateway_named(name text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.gateway_named(name text) TO postroad_bound_functions;

--
-- Name: FUNCTION gateway_problem(call jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.gateway_problem(call jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.gateway_problem(call jsonb) TO postroad_bound_functions;

--
-- Name: FUNCTION hand_back(lease_ids uuid[], message_ids uuid[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.hand_back(lease_ids uuid[], message_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.hand_back(lease_ids uuid[], message_ids uuid[]) TO postroad_worker;

--
-- Name: FUNCTION has_events(seen txid_snapshot, upto txid_snapshot, event_types text[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.has_events(seen txid_snapshot, upto txid_snapshot, event_types text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.has_events(seen txid_snapshot, upto txid_snapshot, event_types text[]) TO postroad_bound_functions;

--
-- Name: FUNCTION has_news(consumer text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.has_news(consumer text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.has_news(consumer text) TO postroad_bound_functions;

--
-- Name: FUNCTION heartbeat(worker_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.heartbeat(worker_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.heartbeat(worker_id bigint) TO postroad_worker;

--
-- Name: FUNCTION held_worker_ids(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.held_worker_ids() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.held_worker_ids() TO postroad_bound_functions;

--
-- Name: FUNCTION http_ack_events(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_ack_events(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_ack_events(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_add_endpoint(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_add_endpoint(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_add_endpoint(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_bulk_from(call jsonb, recipients regclass, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_bulk_from(call jsonb, recipients regclass, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_bulk_from(call jsonb, recipients regclass, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_cancel(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_cancel(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_cancel(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_channel_stats(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_channel_stats(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_channel_stats(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_create_key(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_create_key(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_create_key(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_endpoints(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_endpoints(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_endpoints(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_explain(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_explain(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_explain(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_gateways(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_gateways(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_gateways(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_keys(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_keys(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_keys(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_message(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_message(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_message(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_messages(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_messages(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_messages(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_openapi(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_openapi() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_openapi() TO postroad_http;

--
-- Name: FUNCTION http_pause_gateway(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_pause_gateway(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_pause_gateway(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_queue_stats(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_queue_stats(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_queue_stats(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_read_events(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_read_events(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_read_events(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_register_consumer(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_register_consumer(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_register_consumer(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_remove_endpoint(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_remove_endpoint(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_remove_endpoint(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_resume_gateway(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_resume_gateway(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_resume_gateway(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_retry(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_retry(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_retry(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_revoke_key(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_revoke_key(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_revoke_key(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_rotate_endpoint(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_rotate_endpoint(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_rotate_endpoint(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_routes(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_routes() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_routes() TO postroad_http;

--
-- Name: FUNCTION http_send_bulk(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_send_bulk(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_send_bulk(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_send_message(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_send_message(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_send_message(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_set_endpoint(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_set_endpoint(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_set_endpoint(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_suppress(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_suppress(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_suppress(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_suppressions(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_suppressions(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_suppressions(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_timeline(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_timeline(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_timeline(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_unregister_consumer(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_unregister_consumer(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_unregister_consumer(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_unsuppress(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_unsuppress(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_unsuppress(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION http_weigh_gateway(call jsonb, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.http_weigh_gateway(call jsonb, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.http_weigh_gateway(call jsonb, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION import_suppressions(addresses text[], channels text[], tenant_ids text[], reasons text[], expiries text[], sources text[], dry_run boolean, OUT changed integer, OUT unchanged integer, OUT bad_rows integer[], OUT problems text[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.import_suppressions(addresses text[], channels text[], tenant_ids text[], reasons text[], expiries text[], sources text[], dry_run boolean, OUT changed integer, OUT unchanged integer, OUT bad_rows integer[], OUT problems text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.import_suppressions(addresses text[], channels text[], tenant_ids text[], reasons text[], expiries text[], sources text[], dry_run boolean, OUT changed integer, OUT unchanged integer, OUT bad_rows integer[], OUT problems text[]) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.import_suppressions(addresses text[], channels text[], tenant_ids text[], reasons text[], expiries text[], sources text[], dry_run boolean, OUT changed integer, OUT unchanged integer, OUT bad_rows integer[], OUT problems text[]) TO postroad_bound_functions;

--
-- Name: FUNCTION import_suppressions_from(entries regclass, dry_run boolean, OUT changed bigint, OUT unchanged bigint, OUT invalid bigint, OUT problems text[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.import_suppressions_from(entries regclass, dry_run boolean, OUT changed bigint, OUT unchanged bigint, OUT invalid bigint, OUT problems text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.import_suppressions_from(entries regclass, dry_run boolean, OUT changed bigint, OUT unchanged bigint, OUT invalid bigint, OUT problems text[]) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.import_suppressions_from(entries regclass, dry_run boolean, OUT changed bigint, OUT unchanged bigint, OUT invalid bigint, OUT problems text[]) TO postroad_bound_functions;

--
-- Name: FUNCTION in_flight_of(message_ids uuid[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.in_flight_of(message_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.in_flight_of(message_ids uuid[]) TO postroad_bound_functions;

--
-- Name: FUNCTION intend(lease_ids uuid[], message_ids uuid[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.intend(lease_ids uuid[], message_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.intend(lease_ids uuid[], message_ids uuid[]) TO postroad_worker;

--
-- Name: FUNCTION interval_start(seen txid_snapshot, upto txid_snapshot, OUT early bigint[], OUT first bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.interval_start(seen txid_snapshot, upto txid_snapshot, OUT early bigint[], OUT first bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.interval_start(seen txid_snapshot, upto txid_snapshot, OUT early bigint[], OUT first bigint) TO postroad_bound_functions;

--
-- Name: FUNCTION is_base64(content text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.is_base64(content text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.is_base64(content text) TO postroad_bound_functions;

--
-- Name: FUNCTION is_bigint(number text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.is_bigint(number text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.is_bigint(number text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.is_bigint(number text) TO postroad_bound_functions;

--
-- Name: FUNCTION is_jsonb(document text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.is_jsonb(document text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.is_jsonb(document text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.is_jsonb(document text) TO postroad_bound_functions;

--
-- Name: FUNCTION is_mailbox(mailbox text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.is_mailbox(mailbox text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.is_mailbox(mailbox text) TO postroad_bound_functions;

--
-- Name: FUNCTION is_push_subscription(subscription text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.is_push_subscription(subscription text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.is_push_subscription(subscription text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.is_push_subscription(subscription text) TO postroad_bound_functions;

--
-- Name: FUNCTION is_report(event jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.is_report(event jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.is_report(event jsonb) TO postroad_bound_functions;

--
-- Name: FUNCTION is_suppressed(channel text, address text, tenant_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.is_suppressed(channel text, address text, tenant_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.is_suppressed(channel text, address text, tenant_id bigint) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.is_suppressed(channel text, address text, tenant_id bigint) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.is_suppressed(channel text, address text, tenant_id bigint) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.is_suppressed(channel text, address text, tenant_id bigint) TO postroad_bound_functions;

--
-- Name: FUNCTION is_suppressible(channel text, address text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.is_suppressible(channel text, address text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.is_suppressible(channel text, address text) TO postroad_bound_functions;

--
-- Name: FUNCTION json_problems(schema jsonb, value jsonb, pointer text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.json_problems(schema jsonb, value jsonb, pointer text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.json_problems(schema jsonb, value jsonb, pointer text) TO postroad_bound_functions;

--
-- Name: FUNCTION latest_events(max_count integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.latest_events(max_count integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.latest_events(max_count integer) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.latest_events(max_count integer) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.latest_events(max_count integer) TO postroad_bound_functions;

--
-- Name: FUNCTION leave_out(gateway text, cause text, count bigint, example jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.leave_out(gateway text, cause text, count bigint, example jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.leave_out(gateway text, cause text, count bigint, example jsonb) TO postroad_bound_functions;

--
-- Name: FUNCTION list_api_keys(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.list_api_keys() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.list_api_keys() TO postroad_admin;
GRANT ALL ON FUNCTION postroad.list_api_keys() TO postroad_functions;

--
-- Name: FUNCTION listen_events(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.listen_events() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.listen_events() TO postroad_consumer;
GRANT ALL ON FUNCTION postroad.listen_events() TO postroad_bound_functions;

--
-- Name: FUNCTION look_at_workers(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.look_at_workers() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.look_at_workers() TO postroad_worker;

--
-- Name: FUNCTION look_through_messages(wanted jsonb, tenant_id bigint, before uuid, look_count integer, check_count integer, OUT message_ids uuid[], OUT looked integer, OUT checked integer, OUT looked_to uuid, OUT is_end boolean); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.look_through_messages(wanted jsonb, tenant_id bigint, before uuid, look_count integer, check_count integer, OUT message_ids uuid[], OUT looked integer, OUT checked integer, OUT looked_to uuid, OUT is_end boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.look_through_messages(wanted jsonb, tenant_id bigint, before uuid, look_count integer, check_count integer, OUT message_ids uuid[], OUT looked integer, OUT checked integer, OUT looked_to uuid, OUT is_end boolean) TO postroad_bound_functions;

--
-- Name: FUNCTION may_have_gone_out(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.may_have_gone_out(message_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.may_have_gone_out(message_id uuid) TO postroad_bound_functions;

--
-- Name: FUNCTION message_fits(wanted jsonb, channel text, message_type text, priority smallint, source_type text, source_id bigint, batch_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.message_fits(wanted jsonb, channel text, message_type text, priority smallint, source_type text, source_id bigint, batch_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.message_fits(wanted jsonb, channel text, message_type text, priority smallint, source_type text, source_id bigint, batch_id uuid) TO postroad_bound_functions;

--
-- Name: FUNCTION message_json(message_id uuid, in_flight uuid[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.message_json(message_id uuid, in_flight uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.message_json(message_id uuid, in_flight uuid[]) TO postroad_bound_functions;

--
-- Name: FUNCTION message_report(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.message_report(message_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.message_report(message_id uuid) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.message_report(message_id uuid) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.message_report(message_id uuid) TO postroad_functions;

--
-- Name: FUNCTION message_response(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.message_response() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.message_response() TO postroad_bound_functions;

--
-- Name: FUNCTION message_schema(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.message_schema() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.message_schema() TO postroad_bound_functions;

--
-- Name: FUNCTION misheld_keys(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.misheld_keys() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.misheld_keys() TO postroad_worker;

--
-- Name: FUNCTION need_read_committed(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.need_read_committed() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.need_read_committed() TO postroad_bound_functions;

--
-- Name: FUNCTION next_seq(priority smallint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.next_seq(priority smallint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.next_seq(priority smallint) TO postroad_bound_functions;

--
-- Name: FUNCTION no_such_message(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.no_such_message() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.no_such_message() TO postroad_bound_functions;

--
-- Name: FUNCTION normalize_domain(domain text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.normalize_domain(domain text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.normalize_domain(domain text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.normalize_domain(domain text) TO postroad_bound_functions;

--
-- Name: FUNCTION normalize_email(address text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.normalize_email(address text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.normalize_email(address text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.normalize_email(address text) TO postroad_bound_functions;

--
-- Name: FUNCTION normalize_other_email(address text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.normalize_other_email(address text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.normalize_other_email(address text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.normalize_other_email(address text) TO postroad_bound_functions;

--
-- Name: FUNCTION normalize_phone(number text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.normalize_phone(number text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.normalize_phone(number text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.normalize_phone(number text) TO postroad_bound_functions;

--
-- Name: FUNCTION normalize_recipient(channel text, recipient text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.normalize_recipient(channel text, recipient text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.normalize_recipient(channel text, recipient text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.normalize_recipient(channel text, recipient text) TO postroad_bound_functions;

--
-- Name: FUNCTION note_enqueuers(OUT candidates bigint[], OUT enqueuers text[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.note_enqueuers(OUT candidates bigint[], OUT enqueuers text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.note_enqueuers(OUT candidates bigint[], OUT enqueuers text[]) TO postroad_worker;

--
-- Name: FUNCTION notice_events(since text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.notice_events(since text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.notice_events(since text) TO postroad_worker;

--
-- Name: FUNCTION on_unknown(message_type text, options jsonb, content_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.on_unknown(message_type text, options jsonb, content_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.on_unknown(message_type text, options jsonb, content_id uuid) TO postroad_bound_functions;

--
-- Name: FUNCTION open_batch(consumer text, max_count integer, OUT reader postroad.consumers); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.open_batch(consumer text, max_count integer, OUT reader postroad.consumers) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.open_batch(consumer text, max_count integer, OUT reader postroad.consumers) TO postroad_bound_functions;

--
-- Name: FUNCTION open_interval(INOUT reader postroad.consumers); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.open_interval(INOUT reader postroad.consumers) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.open_interval(INOUT reader postroad.consumers) TO postroad_bound_functions;

--
-- Name: FUNCTION options_reason(channel text, options jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.options_reason(channel text, options jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.options_reason(channel text, options jsonb) TO postroad_bound_functions;

--
-- Name: FUNCTION overdue_after(priority smallint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.overdue_after(priority smallint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.overdue_after(priority smallint) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.overdue_after(priority smallint) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.overdue_after(priority smallint) TO postroad_bound_functions;

--
-- Name: FUNCTION pause(scope text, key text, reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.pause(scope text, key text, reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.pause(scope text, key text, reason text) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.pause(scope text, key text, reason text) TO postroad_bound_functions;

--
-- Name: FUNCTION pause_of(channel text, source_type text, source_id bigint, tenant_id bigint, recipient text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.pause_of(channel text, source_type text, source_id bigint, tenant_id bigint, recipient text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.pause_of(channel text, source_type text, source_id bigint, tenant_id bigint, recipient text) TO postroad_bound_functions;

--
-- Name: FUNCTION place_of(message_id uuid, in_flight uuid[], OUT place text, OUT due_at timestamp with time zone, OUT pause_id bigint, OUT seq bigint, OUT attempt smallint, OUT lease_id uuid, OUT worker_id bigint, OUT leased_at timestamp with time zone); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.place_of(message_id uuid, in_flight uuid[], OUT place text, OUT due_at timestamp with time zone, OUT pause_id bigint, OUT seq bigint, OUT attempt smallint, OUT lease_id uuid, OUT worker_id bigint, OUT leased_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.place_of(message_id uuid, in_flight uuid[], OUT place text, OUT due_at timestamp with time zone, OUT pause_id bigint, OUT seq bigint, OUT attempt smallint, OUT lease_id uuid, OUT worker_id bigint, OUT leased_at timestamp with time zone) TO postroad_bound_functions;

--
-- Name: FUNCTION place_reports(gateway text, events jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.place_reports(gateway text, events jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.place_reports(gateway text, events jsonb) TO postroad_bound_functions;

--
-- Name: FUNCTION problem(status integer, code text, detail text, errors jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.problem(status integer, code text, detail text, errors jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.problem(status integer, code text, detail text, errors jsonb) TO postroad_bound_functions;

--
-- Name: FUNCTION promote_due(priority smallint, after timestamp with time zone, max_count integer, OUT promoted integer, OUT reached timestamp with time zone); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.promote_due(priority smallint, after timestamp with time zone, max_count integer, OUT promoted integer, OUT reached timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.promote_due(priority smallint, after timestamp with time zone, max_count integer, OUT promoted integer, OUT reached timestamp with time zone) TO postroad_worker;

--
-- Name: FUNCTION purge_events(retention interval, max_count integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.purge_events(retention interval, max_count integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.purge_events(retention interval, max_count integer) TO postroad_worker;

--
-- Name: FUNCTION purge_idempotency_keys(max_count integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.purge_idempotency_keys(max_count integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.purge_idempotency_keys(max_count integer) TO postroad_worker;

--
-- Name: FUNCTION purge_reports(max_count integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.purge_reports(max_count integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.purge_reports(max_count integer) TO postroad_worker;

--
-- Name: FUNCTION purge_webhooks(retention interval, max_count integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.purge_webhooks(retention interval, max_count integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.purge_webhooks(retention interval, max_count integer) TO postroad_worker;

--
-- Name: FUNCTION put_route(method text, path text, function text, roles text[], summary text, response jsonb, parameters jsonb, request jsonb, success integer, cost integer, tenants boolean, is_stream boolean); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.put_route(method text, path text, function text, roles text[], summary text, response jsonb, parameters jsonb, request jsonb, success integer, cost integer, tenants boolean, is_stream boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.put_route(method text, path text, function text, roles text[], summary text, response jsonb, parameters jsonb, request jsonb, success integer, cost integer, tenants boolean, is_stream boolean) TO postroad_bound_functions;

--
-- Name: FUNCTION put_suppressions(addresses text[], channels text[], tenant_ids bigint[], reasons text[], expiries timestamp with time zone[], sources text[], since timestamp with time zone[], event_ids bigint[], message_ids uuid[], is_told boolean); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.put_suppressions(addresses text[], channels text[], tenant_ids bigint[], reasons text[], expiries timestamp with time zone[], sources text[], since timestamp with time zone[], event_ids bigint[], message_ids uuid[], is_told boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.put_suppressions(addresses text[], channels text[], tenant_ids bigint[], reasons text[], expiries timestamp with time zone[], sources text[], since timestamp with time zone[], event_ids bigint[], message_ids uuid[], is_told boolean) TO postroad_bound_functions;

--
-- Name: FUNCTION queue_again(message_ids uuid[], priority smallint, attempts smallint[], rescues smallint[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.queue_again(message_ids uuid[], priority smallint, attempts smallint[], rescues smallint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.queue_again(message_ids uuid[], priority smallint, attempts smallint[], rescues smallint[]) TO postroad_bound_functions;

--
-- Name: FUNCTION queue_depth(priority smallint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.queue_depth(priority smallint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.queue_depth(priority smallint) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.queue_depth(priority smallint) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.queue_depth(priority smallint) TO postroad_bound_functions;

--
-- Name: FUNCTION queue_figures(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.queue_figures() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.queue_figures() TO postroad_reader;
GRANT ALL ON FUNCTION postroad.queue_figures() TO postroad_admin;
GRANT ALL ON FUNCTION postroad.queue_figures() TO postroad_bound_functions;

--
-- Name: TABLE message_queue; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_queue TO postroad_functions;
GRANT SELECT,INSERT,DELETE ON TABLE postroad.message_queue TO postroad_bound_functions;

--
-- Name: FUNCTION queue_row_of(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.queue_row_of(message_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.queue_row_of(message_id uuid) TO postroad_bound_functions;

--
-- Name: FUNCTION read_cursor(cursor text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.read_cursor(cursor text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.read_cursor(cursor text) TO postroad_bound_functions;

--
-- Name: FUNCTION read_date_time(content text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.read_date_time(content text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.read_date_time(content text) TO postroad_bound_functions;

--
-- Name: FUNCTION read_events(consumer text, "limit" integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.read_events(consumer text, "limit" integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.read_events(consumer text, "limit" integer) TO postroad_consumer;
GRANT ALL ON FUNCTION postroad.read_events(consumer text, "limit" integer) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.read_events(consumer text, "limit" integer) TO postroad_bound_functions;

--
-- Name: FUNCTION read_place(cursor text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.read_place(cursor text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.read_place(cursor text) TO postroad_bound_functions;

--
-- Name: FUNCTION reason_problem(reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.reason_problem(reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.reason_problem(reason text) TO postroad_bound_functions;

--
-- Name: FUNCTION recall_call(caller text, key text, fingerprint bytea, OUT state text, OUT status smallint, OUT body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.recall_call(caller text, key text, fingerprint bytea, OUT state text, OUT status smallint, OUT body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.recall_call(caller text, key text, fingerprint bytea, OUT state text, OUT status smallint, OUT body jsonb) TO postroad_http;

--
-- Name: FUNCTION recent(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.recent() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.recent() TO postroad_reader;
GRANT ALL ON FUNCTION postroad.recent() TO postroad_admin;
GRANT ALL ON FUNCTION postroad.recent() TO postroad_bound_functions;

--
-- Name: FUNCTION record_events(gateway text, events jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.record_events(gateway text, events jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.record_events(gateway text, events jsonb) TO postroad_webhook;
GRANT ALL ON FUNCTION postroad.record_events(gateway text, events jsonb) TO postroad_bound_functions;

--
-- Name: TABLE messages; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.messages TO postroad_functions;
GRANT SELECT ON TABLE postroad.messages TO postroad_bound_functions;

--
-- Name: FUNCTION record_of(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.record_of(message_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.record_of(message_id uuid) TO postroad_bound_functions;

--
-- Name: FUNCTION record_reports(gateway text, events jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.record_reports(gateway text, events jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.record_reports(gateway text, events jsonb) TO postroad_bound_functions;

--
-- Name: FUNCTION refresh_channel_health(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.refresh_channel_health() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.refresh_channel_health() TO postroad_worker;

--
-- Name: FUNCTION register_consumer(consumer text, since timestamp with time zone, event_types text[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.register_consumer(consumer text, since timestamp with time zone, event_types text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.register_consumer(consumer text, since timestamp with time zone, event_types text[]) TO postroad_consumer;
GRANT ALL ON FUNCTION postroad.register_consumer(consumer text, since timestamp with time zone, event_types text[]) TO postroad_bound_functions;

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
-- Name: FUNCTION remember_call(caller text, key text, fingerprint bytea, status smallint, body jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.remember_call(caller text, key text, fingerprint bytea, status smallint, body jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.remember_call(caller text, key text, fingerprint bytea, status smallint, body jsonb) TO postroad_http;

--
-- Name: FUNCTION remove_webhook_endpoint(endpoint_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.remove_webhook_endpoint(endpoint_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.remove_webhook_endpoint(endpoint_id bigint) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.remove_webhook_endpoint(endpoint_id bigint) TO postroad_bound_functions;

--
-- Name: FUNCTION replay_webhooks(gateway text, since timestamp with time zone, only_errors boolean, max_count integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.replay_webhooks(gateway text, since timestamp with time zone, only_errors boolean, max_count integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.replay_webhooks(gateway text, since timestamp with time zone, only_errors boolean, max_count integer) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.replay_webhooks(gateway text, since timestamp with time zone, only_errors boolean, max_count integer) TO postroad_bound_functions;

--
-- Name: FUNCTION report_breaker(gateway text, is_open boolean, cause text, open_ms bigint, worker_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.report_breaker(gateway text, is_open boolean, cause text, open_ms bigint, worker_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.report_breaker(gateway text, is_open boolean, cause text, open_ms bigint, worker_id bigint) TO postroad_worker;

--
-- Name: FUNCTION report_limited_callers(callers jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.report_limited_callers(callers jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.report_limited_callers(callers jsonb) TO postroad_http;

--
-- Name: FUNCTION report_throttled(throttled jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.report_throttled(throttled jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.report_throttled(throttled jsonb) TO postroad_worker;

--
-- Name: FUNCTION request_problem(method text, path text, call jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.request_problem(method text, path text, call jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.request_problem(method text, path text, call jsonb) TO postroad_bound_functions;

--
-- Name: FUNCTION rescue(worker_id bigint, heartbeat_at timestamp with time zone); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.rescue(worker_id bigint, heartbeat_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.rescue(worker_id bigint, heartbeat_at timestamp with time zone) TO postroad_worker;

--
-- Name: FUNCTION rescue_lease(lease_id uuid, apart interval); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.rescue_lease(lease_id uuid, apart interval) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.rescue_lease(lease_id uuid, apart interval) TO postroad_bound_functions;

--
-- Name: FUNCTION reset_floors(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.reset_floors() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.reset_floors() TO postroad_worker;

--
-- Name: FUNCTION reset_own_consumers(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.reset_own_consumers() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.reset_own_consumers() TO postroad_bound_functions;

--
-- Name: FUNCTION resume(scope text, key text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.resume(scope text, key text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.resume(scope text, key text) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.resume(scope text, key text) TO postroad_bound_functions;

--
-- Name: FUNCTION retry(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.retry(message_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.retry(message_id uuid) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.retry(message_id uuid) TO postroad_functions;

--
-- Name: FUNCTION retry_failed(since timestamp with time zone, channel text, gateway text, reason text, max_count integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.retry_failed(since timestamp with time zone, channel text, gateway text, reason text, max_count integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.retry_failed(since timestamp with time zone, channel text, gateway text, reason text, max_count integer) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.retry_failed(since timestamp with time zone, channel text, gateway text, reason text, max_count integer) TO postroad_functions;

--
-- Name: FUNCTION retry_one(message_id uuid, statuses text[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.retry_one(message_id uuid, statuses text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.retry_one(message_id uuid, statuses text[]) TO postroad_bound_functions;

--
-- Name: FUNCTION revoke_api_key(key_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.revoke_api_key(key_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.revoke_api_key(key_id bigint) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.revoke_api_key(key_id bigint) TO postroad_functions;

--
-- Name: FUNCTION rotate_webhook_secret(endpoint_id bigint, secret text, old_valid_for interval); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.rotate_webhook_secret(endpoint_id bigint, secret text, old_valid_for interval) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.rotate_webhook_secret(endpoint_id bigint, secret text, old_valid_for interval) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.rotate_webhook_secret(endpoint_id bigint, secret text, old_valid_for interval) TO postroad_bound_functions;

--
-- Name: FUNCTION route_of(m postroad.messages, OUT verdict text, OUT reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.route_of(m postroad.messages, OUT verdict text, OUT reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.route_of(m postroad.messages, OUT verdict text, OUT reason text) TO postroad_bound_functions;

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
GRANT ALL ON FUNCTION postroad.set_gateway_weight(gateway text, weight integer) TO postroad_bound_functions;

--
-- Name: FUNCTION set_rate_limit(limit_type text, limit_key text, per_second integer, per_minute integer, per_hour integer, per_day integer); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.set_rate_limit(limit_type text, limit_key text, per_second integer, per_minute integer, per_hour integer, per_day integer) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.set_rate_limit(limit_type text, limit_key text, per_second integer, per_minute integer, per_hour integer, per_day integer) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.set_rate_limit(limit_type text, limit_key text, per_second integer, per_minute integer, per_hour integer, per_day integer) TO postroad_bound_functions;

--
-- Name: FUNCTION set_sms_reply(wish text, body text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.set_sms_reply(wish text, body text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.set_sms_reply(wish text, body text) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.set_sms_reply(wish text, body text) TO postroad_bound_functions;

--
-- Name: FUNCTION set_suppression_rule(reason text, is_on boolean, after integer, within interval, expires_after interval, every_channel boolean, every_tenant boolean); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.set_suppression_rule(reason text, is_on boolean, after integer, within interval, expires_after interval, every_channel boolean, every_tenant boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.set_suppression_rule(reason text, is_on boolean, after integer, within interval, expires_after interval, every_channel boolean, every_tenant boolean) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.set_suppression_rule(reason text, is_on boolean, after integer, within interval, expires_after interval, every_channel boolean, every_tenant boolean) TO postroad_bound_functions;

--
-- Name: FUNCTION set_webhook_endpoint(endpoint_id bigint, url text, event_types text[], channels text[], include_addresses boolean, description text, enabled boolean); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.set_webhook_endpoint(endpoint_id bigint, url text, event_types text[], channels text[], include_addresses boolean, description text, enabled boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.set_webhook_endpoint(endpoint_id bigint, url text, event_types text[], channels text[], include_addresses boolean, description text, enabled boolean) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.set_webhook_endpoint(endpoint_id bigint, url text, event_types text[], channels text[], include_addresses boolean, description text, enabled boolean) TO postroad_bound_functions;

--
-- Name: FUNCTION settle(message_id uuid, outcome text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.settle(message_id uuid, outcome text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.settle(message_id uuid, outcome text) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.settle(message_id uuid, outcome text) TO postroad_functions;

--
-- Name: FUNCTION size_kb(bytes bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.size_kb(bytes bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.size_kb(bytes bigint) TO postroad_bound_functions;

--
-- Name: FUNCTION split_webhooks(batch_ids bigint[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.split_webhooks(batch_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.split_webhooks(batch_ids bigint[]) TO postroad_webhook;
GRANT ALL ON FUNCTION postroad.split_webhooks(batch_ids bigint[]) TO postroad_bound_functions;

--
-- Name: FUNCTION status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.status(message_id uuid, OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) TO postroad_functions;

--
-- Name: FUNCTION status_of(message_id uuid, in_flight uuid[], OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.status_of(message_id uuid, in_flight uuid[], OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.status_of(message_id uuid, in_flight uuid[], OUT id uuid, OUT status text, OUT channel text, OUT priority text, OUT message_type text, OUT attempts integer, OUT created_at timestamp with time zone, OUT due_at timestamp with time zone, OUT sent_at timestamp with time zone, OUT delivered_at timestamp with time zone, OUT updated_at timestamp with time zone, OUT gateway text, OUT external_id text, OUT reason text, OUT error text) TO postroad_bound_functions;

--
-- Name: FUNCTION store_webhooks(gateways text[], delivery_keys text[], replay_keys text[], queries text[], content_types text[], bodies bytea[]); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.store_webhooks(gateways text[], delivery_keys text[], replay_keys text[], queries text[], content_types text[], bodies bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.store_webhooks(gateways text[], delivery_keys text[], replay_keys text[], queries text[], content_types text[], bodies bytea[]) TO postroad_webhook;
GRANT ALL ON FUNCTION postroad.store_webhooks(gateways text[], delivery_keys text[], replay_keys text[], queries text[], content_types text[], bodies bytea[]) TO postroad_bound_functions;

--
-- Name: FUNCTION summarize_events(old_days boolean, all_of_it boolean); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.summarize_events(old_days boolean, all_of_it boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.summarize_events(old_days boolean, all_of_it boolean) TO postroad_worker;

--
-- Name: FUNCTION suppress(channel text, address text, reason text, tenant_id bigint, expires_at timestamp with time zone, source text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.suppress(channel text, address text, reason text, tenant_id bigint, expires_at timestamp with time zone, source text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.suppress(channel text, address text, reason text, tenant_id bigint, expires_at timestamp with time zone, source text) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.suppress(channel text, address text, reason text, tenant_id bigint, expires_at timestamp with time zone, source text) TO postroad_functions;

--
-- Name: FUNCTION suppressed_by(channel text, recipient text, tenant_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.suppressed_by(channel text, recipient text, tenant_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.suppressed_by(channel text, recipient text, tenant_id bigint) TO postroad_bound_functions;

--
-- Name: FUNCTION suppression_address(channel text, address text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.suppression_address(channel text, address text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.suppression_address(channel text, address text) TO postroad_bound_functions;

--
-- Name: FUNCTION suppression_key(channel text, recipient text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.suppression_key(channel text, recipient text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.suppression_key(channel text, recipient text) TO postroad_bound_functions;

--
-- Name: TABLE suppression_list; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.suppression_list TO postroad_functions;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.suppression_list TO postroad_bound_functions;

--
-- Name: FUNCTION suppression_of(channel text, recipient text, tenant_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.suppression_of(channel text, recipient text, tenant_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.suppression_of(channel text, recipient text, tenant_id bigint) TO postroad_bound_functions;

--
-- Name: FUNCTION suppression_rank(reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.suppression_rank(reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.suppression_rank(reason text) TO postroad_bound_functions;

--
-- Name: FUNCTION take_probe(gateway text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.take_probe(gateway text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.take_probe(gateway text) TO postroad_worker;

--
-- Name: FUNCTION take_webhooks(gateways text[], min_age interval); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.take_webhooks(gateways text[], min_age interval) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.take_webhooks(gateways text[], min_age interval) TO postroad_webhook;
GRANT ALL ON FUNCTION postroad.take_webhooks(gateways text[], min_age interval) TO postroad_bound_functions;

--
-- Name: FUNCTION tell_rate_limits(excesses jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.tell_rate_limits(excesses jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.tell_rate_limits(excesses jsonb) TO postroad_bound_functions;

--
-- Name: FUNCTION timeline(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.timeline(message_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.timeline(message_id uuid) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.timeline(message_id uuid) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.timeline(message_id uuid) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.timeline(message_id uuid) TO postroad_functions;

--
-- Name: FUNCTION to_time(text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.to_time(text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.to_time(text) TO postroad_bound_functions;

--
-- Name: FUNCTION txid_current_if_assigned(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.txid_current_if_assigned() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.txid_current_if_assigned() TO postroad_bound_functions;

--
-- Name: FUNCTION u_label(a_label text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.u_label(a_label text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.u_label(a_label text) TO postroad_sender;
GRANT ALL ON FUNCTION postroad.u_label(a_label text) TO postroad_bound_functions;

--
-- Name: FUNCTION unregister_consumer(consumer text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.unregister_consumer(consumer text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.unregister_consumer(consumer text) TO postroad_consumer;
GRANT ALL ON FUNCTION postroad.unregister_consumer(consumer text) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.unregister_consumer(consumer text) TO postroad_bound_functions;

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
GRANT ALL ON FUNCTION postroad.unsent_of(lease postroad.leases) TO postroad_bound_functions;

--
-- Name: FUNCTION unsuppress(channel text, address text, tenant_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.unsuppress(channel text, address text, tenant_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.unsuppress(channel text, address text, tenant_id bigint) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.unsuppress(channel text, address text, tenant_id bigint) TO postroad_functions;

--
-- Name: FUNCTION use_idempotency_key(tenant_id bigint, key text, new_id uuid, call jsonb, OUT message_id uuid, OUT verdict text, OUT reason text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.use_idempotency_key(tenant_id bigint, key text, new_id uuid, call jsonb, OUT message_id uuid, OUT verdict text, OUT reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.use_idempotency_key(tenant_id bigint, key text, new_id uuid, call jsonb, OUT message_id uuid, OUT verdict text, OUT reason text) TO postroad_bound_functions;

--
-- Name: FUNCTION utc_json(at timestamp with time zone); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.utc_json(at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.utc_json(at timestamp with time zone) TO postroad_bound_functions;

--
-- Name: FUNCTION uuid_add(base uuid, steps bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.uuid_add(base uuid, steps bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.uuid_add(base uuid, steps bigint) TO postroad_bound_functions;

--
-- Name: FUNCTION uuid_at(at timestamp with time zone); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.uuid_at(at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.uuid_at(at timestamp with time zone) TO postroad_reader;
GRANT ALL ON FUNCTION postroad.uuid_at(at timestamp with time zone) TO postroad_admin;
GRANT ALL ON FUNCTION postroad.uuid_at(at timestamp with time zone) TO postroad_bound_functions;

--
-- Name: FUNCTION uuid_v7(); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.uuid_v7() FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.uuid_v7() TO postroad_bound_functions;

--
-- Name: FUNCTION wake(priority smallint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.wake(priority smallint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.wake(priority smallint) TO postroad_bound_functions;

--
-- Name: FUNCTION wants_message(event_types text[], event_type text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.wants_message(event_types text[], event_type text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.wants_message(event_types text[], event_type text) TO postroad_bound_functions;

--
-- Name: FUNCTION wants_system(event_types text[], kind text); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.wants_system(event_types text[], kind text) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.wants_system(event_types text[], kind text) TO postroad_bound_functions;

--
-- Name: FUNCTION withdraw(message_id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.withdraw(message_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.withdraw(message_id uuid) TO postroad_bound_functions;

--
-- Name: FUNCTION without_suppressed_copies(options jsonb, tenant_id bigint); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.without_suppressed_copies(options jsonb, tenant_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.without_suppressed_copies(options jsonb, tenant_id bigint) TO postroad_bound_functions;

--
-- Name: FUNCTION write_cursor(id uuid); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.write_cursor(id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.write_cursor(id uuid) TO postroad_bound_functions;

--
-- Name: FUNCTION write_place(place jsonb); Type: ACL; Schema: postroad; Owner: -
--

REVOKE ALL ON FUNCTION postroad.write_place(place jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION postroad.write_place(place jsonb) TO postroad_bound_functions;

--
-- Name: TABLE address_key; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.address_key TO postroad_functions;

--
-- Name: TABLE api_keys; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.api_keys TO postroad_functions;
GRANT SELECT,INSERT,UPDATE ON TABLE postroad.api_keys TO postroad_bound_functions;

--
-- Name: SEQUENCE api_keys_key_id_seq; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.api_keys_key_id_seq TO postroad_functions;

--
-- Name: TABLE api_routes; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.api_routes TO postroad_functions;
GRANT SELECT ON TABLE postroad.api_routes TO postroad_bound_functions;

--
-- Name: TABLE audit_log; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.audit_log TO postroad_functions;
GRANT SELECT,INSERT ON TABLE postroad.audit_log TO postroad_bound_functions;

--
-- Name: SEQUENCE audit_log_audit_id_seq; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.audit_log_audit_id_seq TO postroad_functions;

--
-- Name: TABLE bulk_transactions; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.bulk_transactions TO postroad_functions;
GRANT SELECT ON TABLE postroad.bulk_transactions TO postroad_bound_functions;

--
-- Name: TABLE channel_health; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.channel_health TO postroad_functions;
GRANT SELECT ON TABLE postroad.channel_health TO postroad_bound_functions;

--
-- Name: TABLE event_minutes; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.event_minutes TO postroad_functions;

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
-- Name: TABLE event_consumers; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.event_consumers TO postroad_reader;
GRANT SELECT ON TABLE postroad.event_consumers TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.event_consumers TO postroad_functions;
GRANT SELECT ON TABLE postroad.event_consumers TO postroad_bound_functions;

--
-- Name: TABLE event_tallies; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.event_tallies TO postroad_functions;

--
-- Name: TABLE event_ticks; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.event_ticks TO postroad_functions;

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
GRANT SELECT ON TABLE postroad.gateway_minutes TO postroad_bound_functions;

--
-- Name: TABLE gateway_routes; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.gateway_routes TO postroad_functions;
GRANT SELECT ON TABLE postroad.gateway_routes TO postroad_bound_functions;

--
-- Name: TABLE gateway_states; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.gateway_states TO postroad_functions;
GRANT SELECT ON TABLE postroad.gateway_states TO postroad_bound_functions;

--
-- Name: TABLE pauses; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.pauses TO postroad_functions;
GRANT SELECT ON TABLE postroad.pauses TO postroad_bound_functions;

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
-- Name: TABLE http_idempotency; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.http_idempotency TO postroad_functions;
GRANT SELECT,INSERT,DELETE ON TABLE postroad.http_idempotency TO postroad_bound_functions;

--
-- Name: TABLE idempotency_keys; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.idempotency_keys TO postroad_functions;

--
-- Name: TABLE worker_sessions; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.worker_sessions TO postroad_functions;
GRANT SELECT ON TABLE postroad.worker_sessions TO postroad_bound_functions;

--
-- Name: TABLE in_flight; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.in_flight TO postroad_reader;
GRANT SELECT ON TABLE postroad.in_flight TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.in_flight TO postroad_functions;

--
-- Name: TABLE inbound_messages; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.inbound_messages TO postroad_functions;

--
-- Name: TABLE intents; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.intents TO postroad_functions;

--
-- Name: TABLE ip_pools; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.ip_pools TO postroad_functions;
GRANT SELECT ON TABLE postroad.ip_pools TO postroad_bound_functions;

--
-- Name: TABLE late_events; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.late_events TO postroad_functions;

--
-- Name: TABLE unplaced_events; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.unplaced_events TO postroad_functions;

--
-- Name: TABLE left_out_events; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.left_out_events TO postroad_reader;
GRANT SELECT ON TABLE postroad.left_out_events TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.left_out_events TO postroad_functions;

--
-- Name: TABLE message_counters; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_counters TO postroad_functions;

--
-- Name: TABLE message_queue_p0; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_queue_p0 TO postroad_functions;
GRANT SELECT ON TABLE postroad.message_queue_p0 TO postroad_bound_functions;

--
-- Name: TABLE message_queue_p1; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_queue_p1 TO postroad_functions;
GRANT SELECT ON TABLE postroad.message_queue_p1 TO postroad_bound_functions;

--
-- Name: TABLE message_queue_p2; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_queue_p2 TO postroad_functions;
GRANT SELECT ON TABLE postroad.message_queue_p2 TO postroad_bound_functions;

--
-- Name: TABLE message_queue_p3; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_queue_p3 TO postroad_functions;
GRANT SELECT ON TABLE postroad.message_queue_p3 TO postroad_bound_functions;

--
-- Name: TABLE message_queue_p4; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_queue_p4 TO postroad_functions;
GRANT SELECT ON TABLE postroad.message_queue_p4 TO postroad_bound_functions;

--
-- Name: TABLE message_stats; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.message_stats TO postroad_reader;
GRANT SELECT ON TABLE postroad.message_stats TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_stats TO postroad_functions;

--
-- Name: TABLE message_templates; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.message_templates TO postroad_functions;

--
-- Name: TABLE messages_default; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.messages_default TO postroad_functions;

--
-- Name: TABLE messages_kept; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.messages_kept TO postroad_functions;
GRANT SELECT ON TABLE postroad.messages_kept TO postroad_bound_functions;

--
-- Name: TABLE webhook_endpoints; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.webhook_endpoints TO postroad_functions;

--
-- Name: TABLE webhook_outbox; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.webhook_outbox TO postroad_functions;

--
-- Name: TABLE outbound_stats; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.outbound_stats TO postroad_reader;
GRANT SELECT ON TABLE postroad.outbound_stats TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.outbound_stats TO postroad_functions;
GRANT SELECT ON TABLE postroad.outbound_stats TO postroad_bound_functions;

--
-- Name: SEQUENCE pauses_pause_id_seq; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.pauses_pause_id_seq TO postroad_functions;

--
-- Name: SEQUENCE queue_floor_p0; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_floor_p0 TO postroad_functions;
GRANT SELECT,USAGE ON SEQUENCE postroad.queue_floor_p0 TO postroad_bound_functions;

--
-- Name: SEQUENCE queue_floor_p1; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_floor_p1 TO postroad_functions;
GRANT SELECT,USAGE ON SEQUENCE postroad.queue_floor_p1 TO postroad_bound_functions;

--
-- Name: SEQUENCE queue_floor_p2; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_floor_p2 TO postroad_functions;
GRANT SELECT,USAGE ON SEQUENCE postroad.queue_floor_p2 TO postroad_bound_functions;

--
-- Name: SEQUENCE queue_floor_p3; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_floor_p3 TO postroad_functions;
GRANT SELECT,USAGE ON SEQUENCE postroad.queue_floor_p3 TO postroad_bound_functions;

--
-- Name: SEQUENCE queue_floor_p4; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_floor_p4 TO postroad_functions;
GRANT SELECT,USAGE ON SEQUENCE postroad.queue_floor_p4 TO postroad_bound_functions;

--
-- Name: SEQUENCE queue_seq_p0; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_seq_p0 TO postroad_functions;
GRANT SELECT,USAGE ON SEQUENCE postroad.queue_seq_p0 TO postroad_bound_functions;

--
-- Name: SEQUENCE queue_seq_p1; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_seq_p1 TO postroad_functions;
GRANT SELECT,USAGE ON SEQUENCE postroad.queue_seq_p1 TO postroad_bound_functions;

--
-- Name: SEQUENCE queue_seq_p2; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_seq_p2 TO postroad_functions;
GRANT SELECT,USAGE ON SEQUENCE postroad.queue_seq_p2 TO postroad_bound_functions;

--
-- Name: SEQUENCE queue_seq_p3; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_seq_p3 TO postroad_functions;
GRANT SELECT,USAGE ON SEQUENCE postroad.queue_seq_p3 TO postroad_bound_functions;

--
-- Name: SEQUENCE queue_seq_p4; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.queue_seq_p4 TO postroad_functions;
GRANT SELECT,USAGE ON SEQUENCE postroad.queue_seq_p4 TO postroad_bound_functions;

--
-- Name: TABLE queue_stats; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.queue_stats TO postroad_reader;
GRANT SELECT ON TABLE postroad.queue_stats TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.queue_stats TO postroad_functions;
GRANT SELECT ON TABLE postroad.queue_stats TO postroad_bound_functions;

--
-- Name: TABLE rate_limits; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.rate_limits TO postroad_functions;

--
-- Name: TABLE scheduled; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.scheduled TO postroad_functions;
GRANT SELECT,INSERT,DELETE ON TABLE postroad.scheduled TO postroad_bound_functions;

--
-- Name: TABLE sms_prices; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.sms_prices TO postroad_functions;
GRANT SELECT ON TABLE postroad.sms_prices TO postroad_bound_functions;

--
-- Name: TABLE sms_replies; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.sms_replies TO postroad_functions;

--
-- Name: TABLE suppression_rules; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.suppression_rules TO postroad_functions;

--
-- Name: TABLE suppression_policy; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.suppression_policy TO postroad_reader;
GRANT SELECT ON TABLE postroad.suppression_policy TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.suppression_policy TO postroad_functions;

--
-- Name: TABLE suppression_strikes; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.suppression_strikes TO postroad_functions;

--
-- Name: TABLE system_events; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.system_events TO postroad_functions;
GRANT INSERT ON TABLE postroad.system_events TO postroad_bound_functions;

--
-- Name: TABLE system_log; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.system_log TO postroad_reader;
GRANT SELECT ON TABLE postroad.system_log TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.system_log TO postroad_functions;

--
-- Name: TABLE unknown_messages; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.unknown_messages TO postroad_reader;
GRANT SELECT ON TABLE postroad.unknown_messages TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.unknown_messages TO postroad_functions;

--
-- Name: SEQUENCE unplaced_events_count_id_seq; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.unplaced_events_count_id_seq TO postroad_functions;

--
-- Name: TABLE webhook_batches; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.webhook_batches TO postroad_functions;

--
-- Name: SEQUENCE webhook_batches_batch_id_seq; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.webhook_batches_batch_id_seq TO postroad_functions;

--
-- Name: TABLE webhook_counts; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.webhook_counts TO postroad_functions;

--
-- Name: TABLE webhook_deliveries; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.webhook_deliveries TO postroad_reader;
GRANT SELECT ON TABLE postroad.webhook_deliveries TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.webhook_deliveries TO postroad_functions;

--
-- Name: SEQUENCE webhook_endpoints_endpoint_id_seq; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.webhook_endpoints_endpoint_id_seq TO postroad_functions;

--
-- Name: TABLE webhook_errors; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.webhook_errors TO postroad_functions;

--
-- Name: TABLE webhook_inbox; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.webhook_inbox TO postroad_functions;

--
-- Name: TABLE webhook_failures; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.webhook_failures TO postroad_reader;
GRANT SELECT ON TABLE postroad.webhook_failures TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.webhook_failures TO postroad_functions;

--
-- Name: SEQUENCE webhook_inbox_inbox_id_seq; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.webhook_inbox_inbox_id_seq TO postroad_functions;

--
-- Name: SEQUENCE webhook_outbox_delivery_id_seq; Type: ACL; Schema: postroad; Owner: -
--

GRANT ALL ON SEQUENCE postroad.webhook_outbox_delivery_id_seq TO postroad_functions;

--
-- Name: TABLE webhook_secrets; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.webhook_secrets TO postroad_functions;

--
-- Name: TABLE webhook_stats; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.webhook_stats TO postroad_reader;
GRANT SELECT ON TABLE postroad.webhook_stats TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.webhook_stats TO postroad_functions;

--
-- Name: TABLE workers; Type: ACL; Schema: postroad; Owner: -
--

GRANT SELECT ON TABLE postroad.workers TO postroad_reader;
GRANT SELECT ON TABLE postroad.workers TO postroad_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE postroad.workers TO postroad_functions;

--
-- PostgreSQL database dump complete
--

