create or replace function postroad.create_partitions(days_ahead integer default 7)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '100ms'
as $$
declare
  parent text;
  part text;
  lower_bound uuid;
  upper_bound uuid;
  id_column text;
  fallback text;
  days date[];
  day date;
  moved bigint;
  created integer := 0;
begin
  for parent, id_column, fallback in
    values ('messages', 'message_id', 'messages_default'), ('contents', 'content_id', 'contents_default'), ('delivery_events', 'message_id', 'late_events')
  loop
    -- The days to come, and those of which something landed in the default partition. Events stay late ones unless their message has a day.
    if parent = 'delivery_events' then
      days := array(
        select d.day
        from pg_class as c, lateral (select to_date(right(c.relname, 8), 'YYYYMMDD')) as d (day)
        where c.relnamespace = 'postroad'::regnamespace
          and c.relname ~ '^messages_[0-9]{8}$'
          and exists (
            select from postroad.late_events as e
            where e.message_id >= postroad.uuid_at(d.day) and e.message_id < postroad.uuid_at(d.day + 1)
          )
      );
    else
      execute format('select array(select distinct postroad.created_at(x.%I)::date from postroad.%I as x)', id_column, fallback) into days;
    end if;
    for day in
      select x.day from (
        select unnest(days) union select current_date + n from generate_series(0, days_ahead) as n
      ) as x (day)
      order by 1
    loop
      part := parent || '_' || to_char(day, 'YYYYMMDD');
      continue when to_regclass('postroad.' || part) is not null;
      lower_bound := postroad.uuid_at(day);
      upper_bound := postroad.uuid_at(day + 1);
      execute format('create table postroad.%I (like postroad.%I including all)', part, parent);
      if parent <> 'contents' then
        -- Rows come at the end and go with the day. What a vacuum finds free within would be filled later: by xid, the day could then be read as a whole only.
        execute format('alter table postroad.%I set (autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_threshold = 2147483647)', part);
      end if;
      if parent = 'delivery_events' then         -- not of the parent: days that were full when it came have none
        execute format('create index on postroad.%I (occurred_at) where event_type = ''unknown''', part);
      end if;
      execute format('comment on table postroad.%I is %L', part, 'One day of ' || parent || '.');
      -- What landed in the default partition moves to its day: the default is taken off, so that nothing comes in between, and put back.
      execute format('alter table postroad.%I detach partition postroad.%I', parent, fallback);
      execute format(
        'with moved as (delete from postroad.%I where %I >= %L and %2$I < %4$L returning *) insert into postroad.%5$I select * from moved',
        fallback, id_column, lower_bound, upper_bound, part);
      get diagnostics moved = row_count;
      execute format('alter table postroad.%I attach partition postroad.%I for values from (%L) to (%L)', parent, part, lower_bound, upper_bound);
      execute format('alter table postroad.%I attach partition postroad.%I default', parent, fallback);
      created := created + 1;
      if moved > 0 then
        return created;                          -- the locks are held as shortly as can be
      end if;
    end loop;
  end loop;
  return created;
end;
$$;

comment on function postroad.create_partitions is
$$Makes the partitions of today and days_ahead days (UTC), and of past days of which the default partition caught something, where they are missing, and moves that into them: one day at most that has something to move, so that enqueues go on between two of them; call it again until it returns 0.
Returns how many it made.
Waits 100 ms for a lock at most, so that no enqueue waits longer for it: on lock_not_available, call it again.$$;

revoke all on function postroad.create_partitions from public;
grant execute on function postroad.create_partitions to postroad_worker;

create or replace function postroad.drop_partitions(retention interval)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '100ms'
as $$
declare
  day text;
  part text;
  bound uuid;
  upper_bound uuid;
  dropped integer := 0;
begin
  perform postroad.need_read_committed();        -- what waits by now is kept, not what waited once
  if retention < '1 day' then
    raise exception 'retention must be a day at least, got %', retention
      using errcode = 'PR001';
  end if;
  for day in
    select substr(c.relname, 10)
    from pg_class as c
    where c.relnamespace = 'postroad'::regnamespace
      and c.relname ~ '^messages_[0-9]{8}$'
      and to_date(substr(c.relname, 10), 'YYYYMMDD') + 1 <= (clock_timestamp() - retention)::date
    order by 1
  loop
    bound := postroad.uuid_at(to_date(day, 'YYYYMMDD'));
    upper_bound := postroad.uuid_at(to_date(day, 'YYYYMMDD') + 1);
    -- The locks first, in the order of enqueue: what is copied is then all there is.
    execute format('lock table postroad.messages, postroad.contents, postroad.delivery_events in access exclusive mode');
    -- From the few that wait to their records, not from the many records to see whether they wait: one look at each place, in one snapshot.
    insert into postroad.messages_kept
    select m.*
    from postroad.messages as m
    where m.message_id in (
      select s.message_id from postroad.scheduled as s where s.message_id >= bound and s.message_id < upper_bound
      union all
      select unnest(q.message_id || q.more_ids) from postroad.message_queue as q where q.message_id >= bound and q.message_id < upper_bound
      union all
      select u.id from postroad.leases as l, unnest(l.message_ids) as u (id) where u.id >= bound and u.id < upper_bound
    )
      and m.message_id >= bound
      and m.message_id < upper_bound
    on conflict do nothing;
    execute format('drop table postroad.%I', 'messages_' || day);
    -- Their events stay with them: what a lease has an event of is not sent again.
    part := 'delivery_events_' || day;
    if to_regclass('postroad.' || part) is not null then
      execute format('alter table postroad.delivery_events detach partition postroad.%I', part);
      execute format(                            -- from the few that are kept to theirs, as above
        'insert into postroad.delivery_events
         select e.*
         from postroad.messages_kept as k, lateral (select x.* from postroad.%I as x where x.message_id = k.message_id offset 0) as e
         where k.message_id >= %L and k.message_id < %L',
        part, bound, upper_bound);
      execute format('drop table postroad.%I', part);
    end if;
    -- Contents stay a day longer: a bulk send that began before midnight has messages of the day after.
    insert into postroad.contents_kept
    select c.*
    from postroad.contents as c
    where c.content_id in (select k.content_id from postroad.messages_kept as k)
      and c.content_id < bound
    on conflict do nothing;
    for part in
      select c.relname
      from pg_class as c
      where c.relnamespace = 'postroad'::regnamespace
        and c.relname ~ '^contents_[0-9]{8}$'
        and right(c.relname, 8) < day
    loop
      execute format('drop table postroad.%I', part);
    end loop;
    delete from postroad.bulk_transactions as t where t.batch_id < bound;
    dropped := dropped + 1;
    exit;                                        -- one day a call: the locks are held as shortly as can be
  end loop;
  return dropped;
end;
$$;

comment on function postroad.drop_partitions is
$$Drops the oldest day of messages and events that is past retention (at least a day), and the contents of the days before it; what still waits is copied to messages_kept and contents_kept first, its events to late_events.
Returns how many days it dropped, at most one. Waits 100 ms for a lock at most: on lock_not_available, call it again. Raises PR001 when retention is under a day, and in a transaction that is not read committed.$$;

revoke all on function postroad.drop_partitions from public;
grant execute on function postroad.drop_partitions to postroad_worker;
