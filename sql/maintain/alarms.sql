create or replace function postroad.alarms()
returns setof text
language plpgsql
stable
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
end;
$$;

comment on function postroad.alarms is
$$What an operator must look at, a sentence each: leases older than 10 minutes (an alarm, which never releases them), priorities whose oldest message is overdue. The elected
maintainer logs them once a minute.$$;

revoke all on function postroad.alarms from public;
grant execute on function postroad.alarms to postroad_worker;
