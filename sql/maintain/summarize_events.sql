create or replace function postroad.summarize_events(
  old_days  boolean default false,
  all_of_it boolean default false
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '100ms'
as $$
declare
  part record;
  nth bigint;
  summarized integer := 0;
begin
  for part in
    select x.indexrelid as index, pg_relation_size(x.indrelid) / current_setting('block_size')::integer / 64 as ranges,
      all_of_it or (old_days and c.relname ~ '_[0-9]{8}$' and to_date(right(c.relname, 8), 'YYYYMMDD') < current_date - 1) as to_the_end
    from pg_inherits as i
    join pg_index as x on x.indexrelid = i.inhrelid
    join pg_class as c on c.oid = x.indrelid
    where i.inhparent in ('postroad.messages_xid'::regclass, 'postroad.delivery_events_xid'::regclass)
  loop
    -- What fills now is left: an index that knows a range is written with each new transaction in it. The last full ranges, backwards to the first known one.
    nth := part.ranges - 1;
    while nth >= 0 and brin_summarize_range(part.index, nth * 64) > 0 loop
      summarized := summarized + 1;
      nth := nth - 1;
    end loop;
    if part.to_the_end then
      summarized := summarized + brin_summarize_new_values(part.index);
    end if;
  end loop;
  return summarized;
end;
$$;

comment on function postroad.summarize_events is
$$Brings the indexes by which events are read up to date: they know nothing of the pages that were filled last, and those are read whole. old_days: also the
last pages of days before yesterday, which fill slowly; it looks through all they have. all_of_it: also gaps that a killed call left, and pages that fill now. Returns how many ranges
were new. Waits 100 ms for a lock at most: on lock_not_available, call it again.$$;

revoke all on function postroad.summarize_events from public;
grant execute on function postroad.summarize_events to postroad_worker;
