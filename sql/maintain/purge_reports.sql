create or replace function postroad.purge_reports(max_count integer default 10000)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
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

comment on function postroad.purge_reports is
$$Forgets ids of inbound messages after 30 days (their events stay as long as all events do), events that no rule of suppression counts any more, and counts of left out events
after 90 days; at most max_count of each a call. Returns how many.$$;

revoke all on function postroad.purge_reports from public;
grant execute on function postroad.purge_reports to postroad_worker;
