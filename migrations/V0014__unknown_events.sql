-- Messages whose fate is unknown are few, and somebody has to settle them: see postroad.unknown_messages. Days that hold much already are left without the index, for to build it
-- would keep outcomes from being written; those to come have it from create_partitions.
do $$
declare
  part regclass;
begin
  for part in
    select i.inhrelid
    from pg_inherits as i
    where i.inhparent = 'postroad.delivery_events'::regclass
      and pg_relation_size(i.inhrelid) < 64 * 1024 * 1024
  loop
    execute format('create index on %s (occurred_at) where event_type = ''unknown''', part);
  end loop;
end;
$$;
