create or replace function postroad.audit_counters(day date)
returns table (
  channel      text,
  gateway      text,
  message_type text,
  source_type  text,
  tenant_id    bigint,
  event_type   text,
  counted      bigint,
  found        bigint
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
set jit = off
as $$
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

comment on function postroad.audit_counters is
$$Compares the counters of a day (UTC, of the messages) with the messages and events themselves, as far as they were counted. No row: all is well. Reads the whole day.
A day that was dropped has nothing to compare with: no row.$$;

revoke all on function postroad.audit_counters from public;
grant execute on function postroad.audit_counters to postroad_admin;
