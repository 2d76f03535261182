create or replace function postroad.count_events(max_count integer default 200000)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
set jit = off
set max_parallel_workers_per_gather = 0
set enable_seqscan = off
as $$
declare
  reader postroad.consumers;
  counted bigint;
begin
  if not exists (select from postroad.event_ticks as t where t.at between clock_timestamp() - interval '1 minute' and clock_timestamp()) then
    insert into postroad.event_ticks (snapshot) values (postroad.event_snapshot()) on conflict do nothing;
  end if;
  if not postroad.has_news('_counters') then
    return 0;
  end if;
  perform from postroad.consumers as c where c.consumer = '_counters' for update skip locked;
  if not found then
    return 0;                                    -- somebody else is counting
  end if;
  select b.* into reader from postroad.open_batch('_counters', max_count) as b;
  if reader.batch_xid is null then
    return 0;
  end if;
  with counts as materialized (
    select e.day, e.minute, coalesce(e.channel, m.channel, k.channel, '') as channel, e.gateway,
      coalesce(e.message_type, m.message_type, k.message_type, '') as message_type, coalesce(e.source_type, m.source_type, k.source_type) as source_type,
      coalesce(e.tenant_id, m.tenant_id, k.tenant_id) as tenant_id, e.event_type collate "C" as event_type,
      count(*) as events, max(e.occurred_at) as last_at
    from (
      select i.message_id, i.event_type, case when i.event_type <> 'queued' then i.gateway end as gateway, i.occurred_at,
        date_trunc('minute', i.occurred_at) as minute, postroad.day_of(i.message_id) as day,
        i.channel, i.message_type, i.source_type, i.tenant_id, case when i.channel is null then i.message_id end as of_message
      from postroad.events_in(reader) as i
      offset 0
    ) as e
    left join lateral (select m.* from postroad.messages as m where m.message_id = e.of_message offset 0) as m on true   -- queued has all of it
    left join postroad.messages_kept as k on m.message_id is null and k.message_id = e.of_message
    group by 1, 2, 3, 4, 5, 6, 7, 8
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
  select sum(n.events) into counted from counts as n;
  perform postroad.close_batch(reader);
  return counted;
end;
$$;

comment on function postroad.count_events is
$$Counts the next events, at most max_count, into message_counters and event_minutes: as a consumer of the events like any other, its position and the counts in one
transaction, so that no crash makes them drift. Returns how many; 0 when there are none, or another process is at it.$$;

revoke all on function postroad.count_events from public;
grant execute on function postroad.count_events to postroad_worker;

create or replace function postroad.day_of(message_id uuid)
returns date
language sql
immutable parallel safe
as $$
  select date '1970-01-01' + (('x0000' || left(message_id::text, 8) || substr(message_id::text, 10, 4))::bit(64)::bigint / 86400000)::integer
$$;

comment on function postroad.day_of is 'The day (UTC) of a UUIDv7: that of its partition.';
