create or replace function postroad.queue_depth(priority smallint)
returns table (ready bigint, oldest_at timestamptz)
language plpgsql
stable
rows 1
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
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
$$;

comment on function postroad.queue_depth is
$$How many messages of a priority can be sent now, and since when the oldest is enqueued, or was to be sent. Exact below 10,000; above that the span of their places, which is at most what was
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
  postroad.bounded_scheduled(p::smallint, false) as scheduled,
  postroad.bounded_scheduled(p::smallint, true) as parked,
  (select coalesce(sum(cardinality(l.message_ids)), 0) from postroad.leases as l where l.priority = p) as processing,
  (select x.reason from postroad.pauses as x where x.scope = 'priority' and x.key = 'P' || p) as paused
from generate_series(0, 4) as p, postroad.queue_depth(p::smallint) as d;
comment on view postroad.queue_stats is
$$One row a priority: messages ready to be sent (exact below 10,000), the oldest of them and whether it is overdue, scheduled ones (retries too) and ones parked by a
pause (each counted up to 10,000), ones in leases, and why the priority is paused.$$;

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
'Each time that a message failed or bounced, also where it was retried and sent since: see status. Ask with failed_at >= … order by failed_at. See retry and retry_failed.';

create or replace view postroad.unknown_messages as
select e.message_id, e.occurred_at as unknown_since, m.channel, 'P' || m.priority as priority, m.message_type, m.tenant_id, m.source_type, m.source_id,
  e.gateway, e.attempt, e.reason
from postroad.delivery_events as e
left join postroad.messages as m on m.message_id = e.message_id
where e.event_type = 'unknown'
  and not exists (                               -- of one that was sent again and is unknown again, the latest
    select from postroad.delivery_events as x
    where x.message_id = e.message_id
      and x.event_type = 'unknown'
      and (x.occurred_at, x.event_id) > (e.occurred_at, e.event_id)
  )
  and (select s.status from postroad.status(e.message_id) as s) = 'unknown';
comment on view postroad.unknown_messages is
$$Messages that may have gone out or not, and are held until an event of their gateway or settle says more: select postroad.settle(message_id, 'failed') from postroad.unknown_messages
where reason = 'worker_crashed'.$$;

create or replace view postroad.delivery_rates as
select c.minute, c.gateway, c.event_type, sum(c.events)::bigint as events
from postroad.event_minutes as c
where c.minute > clock_timestamp() - interval '1 hour'
  and c.event_type <> 'queued'
group by 1, 2, 3;
comment on view postroad.delivery_rates is 'Events by minute and gateway, in the last hour.';

create or replace view postroad.gateway_stats as
select h.gateway, h.channel, h.position,
  (select x.reason from postroad.pauses as x where x.scope = 'gateway' and x.key = h.gateway) as paused,
  h.registered_at, coalesce(r.sent, 0) as sent_1h, coalesce(r.failed, 0) as failed_1h, r.last_sent_at
from postroad.channel_health as h
left join (
  select c.gateway, c.channel,
    (sum(c.events) filter (where c.event_type = 'sent' and c.minute > clock_timestamp() - interval '1 hour'))::bigint as sent,
    (sum(c.events) filter (where c.event_type in ('failed', 'bounced', 'deferred', 'unknown') and c.minute > clock_timestamp() - interval '1 hour'))::bigint as failed,
    max(c.last_at) filter (where c.event_type = 'sent') as last_sent_at
  from postroad.event_minutes as c
  group by c.gateway, c.channel
) as r using (gateway, channel);
comment on view postroad.gateway_stats is 'Each gateway of each channel, with what it did in the last hour, and when it last sent (within 25 hours). Counted every second.';

create or replace view postroad.channel_stats as
select s.channel, s.queued as enqueued_1h, s.sent as sent_1h, s.failed as failed_1h, s.not_sent as not_sent_1h,
  greatest(s.queued - s.sent - s.failed - s.not_sent, 0) as waiting_1h
from (
  select c.channel,
    coalesce(sum(c.events) filter (where c.event_type = 'queued'), 0)::bigint as queued,
    coalesce(sum(c.events) filter (where c.event_type = 'sent'), 0)::bigint as sent,
    coalesce(sum(c.events) filter (where c.event_type in ('failed', 'bounced')), 0)::bigint as failed,
    coalesce(sum(c.events) filter (where c.event_type in ('suppressed', 'expired', 'cancelled', 'unknown')), 0)::bigint as not_sent
  from postroad.event_minutes as c
  where c.minute > clock_timestamp() - interval '1 hour'
    and c.channel <> ''
  group by c.channel
) as s;
comment on view postroad.channel_stats is
$$Each channel: how many messages were enqueued, sent, failed (or bounced), and not sent for another reason (suppressed, expired, cancelled, unknown) in the last hour; waiting_1h: how many more came than ended.
Counted every second. By day, message type, source and tenant: message_stats.$$;

create or replace view postroad.message_stats as
select c.day, c.channel, c.gateway, c.message_type, c.source_type, c.tenant_id, c.event_type, c.count
from postroad.message_counters as c;
comment on view postroad.message_stats is
$$How many events of each type there were, by the day (UTC) on which their message was enqueued, channel, gateway, message type, source and tenant. Exact to a second or so; days whose
messages were dropped stay. queued has no gateway. See audit_counters.$$;

create or replace view postroad.event_consumers as
select c.consumer, c.event_types, c.registered_at, c.read_at, c.acked_at, case when c.batch_xid is not null then c.batch_id end as open_batch,
  clock_timestamp() - c.seen_at as behind,
  txid_snapshot_xmax(txid_current_snapshot()) - txid_snapshot_xmax(c.seen) as transactions_behind,
  c.registered_by
from postroad.consumers as c;
comment on view postroad.event_consumers is
$$Who reads events, and how far: behind is the age of the snapshot up to which all was acknowledged; transactions_behind those of the whole server since. open_batch: was read and is not
acknowledged. registered_by: whose it is. _counters counts, _webhooks posts to endpoints.$$;

create or replace view postroad.system_log as
select s.event_id, s.occurred_at, s.kind, s.subject, s.detail - 'address' as detail
from postroad.system_events as s;
comment on view postroad.system_log is 'System events, without addresses; ask with occurred_at >= ….';

create or replace view postroad.webhook_deliveries as
select o.delivery_id, o.endpoint_id, split_part(e.url, '?', 1) as url, o.webhook_id, o.event_type, o.created_at, o.attempts, o.last_status, o.last_error, o.due_at,
  case
    when o.finished_at is null and e.disabled_at is not null then 'held'
    when o.finished_at is null then 'waiting'
    when o.last_error is null then 'delivered'
    else 'given_up'
  end as state,
  o.finished_at
from postroad.webhook_outbox as o
join postroad.webhook_endpoints as e using (endpoint_id);
comment on view postroad.webhook_deliveries is
'Events on their way to endpoints and what became of them; ask with created_at >= …. held: its endpoint is disabled. given_up: all its attempts failed.';

create or replace view postroad.outbound_stats as
select e.endpoint_id, split_part(e.url, '?', 1) as url, e.event_types, e.channels, e.tenant_id, e.disabled_at, e.disabled_reason, e.failing_since, e.last_success_at,
  e.last_failure_at, e.last_failure,
  (select count(*) from (
    select from postroad.webhook_outbox as o where o.endpoint_id = e.endpoint_id and o.due_at is not null limit 10000) as w) as waiting,
  (select min(o.created_at) from (
    select w.created_at from postroad.webhook_outbox as w where w.endpoint_id = e.endpoint_id and w.due_at is not null order by w.due_at limit 100) as o) as oldest_at
from postroad.webhook_endpoints as e;
comment on view postroad.outbound_stats is
'Each endpoint (without the query of its URL), how it does, and how many events wait for it: exact below 10,000, which stands for that many or more. oldest_at: the oldest of the 100 that are due first.';

grant select on postroad.queue_stats, postroad.in_flight, postroad.workers, postroad.failed_messages, postroad.unknown_messages, postroad.delivery_rates, postroad.gateway_stats,
  postroad.channel_stats, postroad.message_stats, postroad.event_consumers, postroad.system_log, postroad.webhook_deliveries, postroad.outbound_stats
  to postroad_reader, postroad_admin;
