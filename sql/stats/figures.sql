create or replace function postroad.bounded_scheduled(priority smallint, is_parked boolean)
returns bigint
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
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

comment on function postroad.bounded_scheduled is
'Messages of a priority that wait for their time, or that a pause holds (is_parked); counted up to 10,000, which stands for that many or more.';

revoke all on function postroad.bounded_scheduled from public;
grant execute on function postroad.bounded_scheduled to postroad_reader, postroad_admin;

create or replace function postroad.queue_figures()
returns table (
  priority       text,
  ready          bigint,
  oldest_seconds double precision,
  is_overdue     boolean,
  scheduled      bigint,
  parked         bigint,
  processing     bigint,
  placed         bigint,
  floor_lag      bigint,
  paused         text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
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
$$;

comment on function postroad.queue_figures is
$$The queue by priority, for monitors: no table is read as a whole. ready: see queue_depth; oldest_seconds: of the message that is next, null without one; scheduled and parked:
see bounded_scheduled; processing: in leases; placed: places given so far, to messages enqueued, due or tried again, those rolled back too; floor_lag: places between the
floor and the first message that waits.$$;

revoke all on function postroad.queue_figures from public;
grant execute on function postroad.queue_figures to postroad_reader, postroad_admin;

create or replace function postroad.gateway_figures()
returns table (
  gateway    text,
  channel    text,
  place      smallint,
  state      text,
  cause      text,
  since      timestamptz,
  paused     text,
  weight     integer,
  calls_5m   bigint,
  sent_5m    bigint,
  sent_1h    bigint,
  failed_1h  bigint,
  p50_ms     double precision,
  p95_ms     double precision,
  last_reason     text,
  last_failure_at timestamptz,
  last_success_at timestamptz
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
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

comment on function postroad.gateway_figures is
$$Each gateway of each channel, for monitors: its breaker (closed, open, half_open: may be probed), pause and weight, and what it did, from gateway_minutes, to which workers add every
few seconds. Latencies are of the last 5 minutes, to a power of two.$$;

revoke all on function postroad.gateway_figures from public;
grant execute on function postroad.gateway_figures to postroad_reader, postroad_admin;

create or replace function postroad.figures()
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;

comment on function postroad.figures is
'What monitors ask for, in one call that reads no table as a whole: see queue_figures and gateway_figures; pauses, messages enqueued today (UTC) by channel, workers, the oldest lease, days that have partitions, the queue of notifications.';

revoke all on function postroad.figures from public;
grant execute on function postroad.figures to postroad_reader, postroad_admin;
