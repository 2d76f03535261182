create or replace function postroad.queue_depth(priority smallint)
returns table (ready bigint, oldest_at timestamptz)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
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
$$;

comment on function postroad.queue_depth is
$$How many messages of a priority can be sent now, and since when the oldest is enqueued. Exact below 10,000; above that the span of their places, which is at most what was
enqueued since the oldest: no view counts whole tables.$$;

revoke all on function postroad.queue_depth from public;
grant execute on function postroad.queue_depth to postroad_reader, postroad_admin;

create or replace function postroad.overdue_after(priority smallint)
returns interval
language sql
immutable parallel safe
as $$
  select case priority
    when 0 then interval '300 seconds'
    when 1 then interval '900 seconds'
    when 2 then interval '3600 seconds'
    when 3 then interval '86400 seconds'
    when 4 then interval '3600 seconds'
  end
$$;

comment on function postroad.overdue_after is 'The age past which a waiting message of a priority is overdue: an alarm, not an end.';

revoke all on function postroad.overdue_after from public;
grant execute on function postroad.overdue_after to postroad_reader, postroad_admin;

create or replace view postroad.queue_stats as
select 'P' || p as priority,
  d.ready,
  d.oldest_at,
  clock_timestamp() - d.oldest_at as oldest_age,
  clock_timestamp() - d.oldest_at > postroad.overdue_after(p::smallint) as overdue,
  (select count(*) from postroad.scheduled as s where s.priority = p and s.due_at < 'infinity') as scheduled,
  (select count(*) from postroad.scheduled as s where s.priority = p and s.due_at = 'infinity') as parked,
  (select coalesce(sum(cardinality(l.message_ids)), 0) from postroad.leases as l where l.priority = p) as processing,
  (select x.reason from postroad.pauses as x where x.scope = 'priority' and x.key = 'P' || p) as paused
from generate_series(0, 4) as p, postroad.queue_depth(p::smallint) as d;
comment on view postroad.queue_stats is
$$One row a priority: messages ready to be sent (exact below 10,000), the oldest of them and whether it is overdue, scheduled ones (retries too), ones parked by a pause,
ones in leases, and why the priority is paused.$$;

create or replace view postroad.in_flight as
select l.lease_id, 'P' || l.priority as priority, l.worker_id, w.host, w.pid, l.leased_at, clock_timestamp() - l.leased_at as age,
  clock_timestamp() - l.leased_at > interval '10 minutes' as overdue,
  cardinality(l.message_ids) as messages, l.rescues
from postroad.leases as l
left join postroad.worker_sessions as w using (worker_id);
comment on view postroad.in_flight is
'Claimed batches. A lease older than 10 minutes is overdue: an alarm, which never releases it by itself. No host: its worker is gone, and it is about to be rescued.';

create or replace view postroad.workers as
select w.worker_id, w.host, w.pid, w.version, array(select 'P' || p from unnest(w.priorities) as u (p) order by p) as priorities,
  w.started_at, w.heartbeat_at, w.heartbeat_at > clock_timestamp() - interval '15 seconds' as alive,
  (select count(*) from postroad.leases as l where l.worker_id = w.worker_id) as leases
from postroad.worker_sessions as w;
comment on view postroad.workers is 'Worker processes that are registered.';

create or replace view postroad.failed_messages as
select e.message_id, e.occurred_at as failed_at, m.channel, 'P' || m.priority as priority, m.message_type, m.tenant_id, m.source_type, m.source_id,
  e.event_type, e.gateway, e.attempt, e.reason, e.detail ->> 'code' as code, e.detail ->> 'text' as error
from postroad.delivery_events as e
left join postroad.messages as m on m.message_id = e.message_id
where e.event_type in ('failed', 'bounced');
comment on view postroad.failed_messages is
'What failed or bounced; ask with failed_at >= … order by failed_at. See retry and retry_failed.';

create or replace view postroad.delivery_rates as
select date_trunc('minute', e.occurred_at) as minute, e.gateway, e.event_type, count(*) as events
from postroad.delivery_events as e
where e.message_id >= postroad.uuid_at(clock_timestamp() - interval '1 hour')
group by 1, 2, 3;
comment on view postroad.delivery_rates is 'Events by minute and gateway, of messages enqueued in the last hour.';

create or replace view postroad.gateway_stats as
select h.gateway, h.channel, h.position,
  (select x.reason from postroad.pauses as x where x.scope = 'gateway' and x.key = h.gateway) as paused,
  h.registered_at, coalesce(r.sent, 0) as sent_1h, coalesce(r.failed, 0) as failed_1h, r.last_sent_at
from postroad.channel_health as h
left join (
  select e.gateway, m.channel, count(*) filter (where e.event_type = 'sent') as sent, count(*) filter (where e.event_type in ('failed', 'bounced', 'deferred', 'unknown')) as failed,
    max(e.occurred_at) filter (where e.event_type = 'sent') as last_sent_at
  from postroad.delivery_events as e
  join postroad.messages as m using (message_id)
  where e.message_id >= postroad.uuid_at(clock_timestamp() - interval '1 hour')
  group by e.gateway, m.channel
) as r using (gateway, channel);
comment on view postroad.gateway_stats is 'Each gateway of each channel, with what it did with the messages enqueued in the last hour.';

create or replace view postroad.channel_stats as
select m.channel,
  count(*) as enqueued_1h,
  count(*) filter (where o.event_type = 'sent') as sent_1h,
  count(*) filter (where o.event_type in ('failed', 'bounced')) as failed_1h,
  count(*) filter (where o.event_type in ('suppressed', 'expired', 'cancelled')) as not_sent_1h,
  count(*) filter (where o.event_type is null or o.event_type = 'deferred') as waiting_1h
from postroad.messages as m
left join lateral (
  select e.event_type
  from postroad.delivery_events as e
  where e.message_id = m.message_id
    and e.event_type in ('sent', 'failed', 'bounced', 'suppressed', 'expired', 'cancelled', 'deferred', 'unknown')
  order by e.occurred_at desc, e.event_id desc
  limit 1
) as o on true
where m.message_id >= postroad.uuid_at(clock_timestamp() - interval '1 hour')
group by m.channel;
comment on view postroad.channel_stats is 'Each channel: what became of the messages enqueued in the last hour.';

grant select on postroad.queue_stats, postroad.in_flight, postroad.workers, postroad.failed_messages, postroad.delivery_rates, postroad.gateway_stats,
  postroad.channel_stats to postroad_reader, postroad_admin;
