create or replace function postroad.note_enqueuers(
  out candidates bigint[],
  out enqueuers  text[]
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  candidates := array[
    (select s.last_value from postroad.queue_seq_p0 as s),
    (select s.last_value from postroad.queue_seq_p1 as s),
    (select s.last_value from postroad.queue_seq_p2 as s),
    (select s.last_value from postroad.queue_seq_p3 as s),
    (select s.last_value from postroad.queue_seq_p4 as s)
  ];
  -- A later statement: whoever takes a seq up to these values holds the lock by now, or has ended.
  enqueuers := array(select postroad.enqueuers());
end;
$$;

comment on function postroad.note_enqueuers is
$$First half of advancing the floors. Sequence order is not commit order: a row with a lower seq can still appear from an open transaction. Every insert goes through the
parent message_queue and takes RowExclusiveLock on it before nextval runs; so once all who hold that lock now have ended, nothing appears below these values.$$;

revoke all on function postroad.note_enqueuers from public;
grant execute on function postroad.note_enqueuers to postroad_worker;

create or replace function postroad.enqueuers()
returns setof text
language sql
volatile
as $$
  select distinct l.virtualtransaction
  from pg_locks as l
  where l.locktype = 'relation'
    and l.relation = 'postroad.message_queue'::regclass
    and l.mode = 'RowExclusiveLock'
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
$$;

comment on function postroad.enqueuers is 'The open transactions that may have taken a seq. -1/… is a prepared one.';

create or replace function postroad.advance_floors(
  candidates bigint[],
  enqueuers  text[]
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  queue_floor bigint;
  lowest bigint;
begin
  perform postroad.need_read_committed();        -- rows that an older snapshot does not see are below no floor
  if exists (
    select from postroad.enqueuers() as e (id)
    where e.id = any (enqueuers)
      or e.id like '-1/%'                        -- prepared since: it has another name now
  ) then
    return false;
  end if;
  for p in 0..4 loop
    execute format('select last_value from postroad.queue_floor_p%s', p) into queue_floor;
    execute format('select q.seq from postroad.message_queue_p%s as q where q.seq >= $1 order by q.seq limit 1', p) into lowest using queue_floor;
    if least(lowest, candidates[p + 1]) > queue_floor then
      perform setval(format('postroad.queue_floor_p%s', p), least(lowest, candidates[p + 1]));
    end if;
  end loop;
  return true;
end;
$$;

comment on function postroad.advance_floors is
$$Second half: raises each floor to the noted value, never above the lowest row that waits; false, and nothing done, while one of the noted enqueuers is open.$$;

revoke all on function postroad.advance_floors from public;
grant execute on function postroad.advance_floors to postroad_worker;

create or replace function postroad.reset_floors()
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  lowest bigint;
  highest bigint;
  queue_floor bigint;
  last_seq bigint;
begin
  for p in 0..4 loop
    execute format('select min(q.seq), max(q.seq) from postroad.message_queue_p%s as q', p) into lowest, highest;
    execute format('select s.last_value from postroad.queue_floor_p%s as s', p) into queue_floor;
    execute format('select s.last_value - case when s.is_called then 0 else 1 end from postroad.queue_seq_p%s as s', p) into last_seq;
    -- A floor that lies may lie above rows of open transactions too, so it starts over; the next rounds raise it.
    if queue_floor > least(lowest, last_seq + 1) then
      perform setval(format('postroad.queue_floor_p%s', p), 0);
    end if;
    if last_seq < highest then
      perform setval(format('postroad.queue_seq_p%s', p), highest);
    end if;
  end loop;
  perform postroad.reset_own_consumers();
end;
$$;

comment on function postroad.reset_floors is
$$Starts floors over that lie above a row or above their sequence, and raises sequences to the highest row: after a restore or a logical copy they lie. So do the positions of our own
readers of events. Called by migrate and by each newly elected maintainer.$$;

revoke all on function postroad.reset_floors from public;
grant execute on function postroad.reset_floors to postroad_worker;
