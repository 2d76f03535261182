-- A vacuum makes known what is free at the end of each page, and later rows that are smaller go there: then each range of pages has events of the whole day, and who reads the last ones
-- by xid reads all of it. The days that are made from here on have this from the start; see create_partitions.

do $$
declare
  part regclass;
begin
  for part in
    select c.oid
    from pg_class as c
    where c.relnamespace = 'postroad'::regnamespace
      and c.relname ~ '^(messages|delivery_events)_[0-9]{8}$'
  loop
    execute format('alter table %s set (autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_threshold = 2147483647)', part);
  end loop;
end $$;
