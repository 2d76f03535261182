create or replace function postroad.count_events(max_count integer default 200000)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
set jit = off
set max_parallel_workers_per_gather = 0
set enable_seqscan = off
set enable_sort = off            -- groups are few
set plan_cache_mode = force_generic_plan
as $$
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
