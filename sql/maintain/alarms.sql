create or replace function postroad.alarms()
returns setof text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
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

comment on function postroad.alarms is
$$What an operator must look at, a sentence each: leases older than 10 minutes (an alarm, which never releases them), priorities whose oldest message is overdue, and what
misheld_keys says. The elected maintainer logs them once a minute.$$;

revoke all on function postroad.alarms from public;
grant execute on function postroad.alarms to postroad_worker;

create or replace function postroad.misheld_keys()
returns setof text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
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
$$;

comment on function postroad.misheld_keys is
$$Who holds an advisory lock of ours and is no worker (or is in psql), a sentence each: Postgres lets any session take any. Logged once a minute by every process that waits to be elected for
upkeep, and by the one that is.$$;

revoke all on function postroad.misheld_keys from public;
grant execute on function postroad.misheld_keys to postroad_worker;
