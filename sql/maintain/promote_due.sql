create or replace function postroad.promote_due(
  priority  smallint,
  after     timestamptz default '-infinity',
  max_count integer default 1000,
  out promoted integer,
  out reached timestamptz
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
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

comment on function postroad.promote_due is
$$Moves messages of a priority whose time has come into the queue, at most max_count. Looks from `after` on, so that dead versions at the start of the index, which a held
snapshot keeps, are passed once; reached is where to look from next: the latest due time it moved, but two seconds ago at the latest, since due times are not committed
in order. Some come later still: start over with -infinity now and then.$$;

revoke all on function postroad.promote_due from public;
grant execute on function postroad.promote_due to postroad_worker;
