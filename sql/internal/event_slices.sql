create or replace function postroad.event_snapshot()
returns txid_snapshot
language plpgsql
volatile
as $$
declare
  own constant bigint := txid_current_if_assigned();
  snapshot constant txid_snapshot := txid_current_snapshot();
begin
  -- The transaction that asks is not in its own snapshot's list, but it may write more: it must not count as seen.
  if own < txid_snapshot_xmax(snapshot) then
    return (
      select least(own, txid_snapshot_xmin(snapshot)) || ':' || txid_snapshot_xmax(snapshot) || ':' || string_agg(x.id::text, ',' order by x.id)
      from (select txid_snapshot_xip(snapshot) union select own) as x (id)
    )::txid_snapshot;
  end if;
  return snapshot;
end;
$$;

comment on function postroad.event_snapshot is
'What can be seen now, without what the asking transaction itself wrote: where an interval of events may end.';

create or replace function postroad.txid_current_if_assigned()
returns bigint
language sql
stable
as $$
  select pg_current_xact_id_if_assigned()::text::bigint
$$;

comment on function postroad.txid_current_if_assigned is 'The id of this transaction, or null when it has written nothing yet.';

create or replace function postroad.interval_start(
  seen txid_snapshot,
  upto txid_snapshot,
  out early bigint[],
  out first bigint
)
language plpgsql
stable
as $$
declare
  ended bigint[];
begin
  ended := array(
    select x.id
    from txid_snapshot_xip(seen) as x (id)
    where txid_visible_in_snapshot(x.id, upto)
    order by x.id
  );
  first := txid_snapshot_xmax(seen);
  early := array(select u.id from unnest(ended) as u (id) where u.id < first - 100 order by 1);
  first := coalesce((select min(u.id) from unnest(ended) as u (id) where u.id >= first - 100), first);
end;
$$;

comment on function postroad.interval_start is
$$Where the transactions begin that upto sees and seen does not: early, those that had been open for long, one by one; and the first one from which on a range is looked
through. Without that a transaction open for an hour would make each interval an hour wide.$$;

create or replace function postroad.event_key(event_id bigint)
returns uuid
language sql
immutable parallel safe
as $$
  select lpad(to_hex(event_id), 32, '0')::uuid
$$;

comment on function postroad.event_key is 'The place of a system event within its transaction: before the messages, whose ids are UUIDv7.';

create or replace function postroad.wants_message(event_types text[], event_type text)
returns boolean
language sql
immutable parallel safe
as $$
  select event_types is null or event_type = any (event_types) or '*' = any (event_types)
$$;

comment on function postroad.wants_message is 'Whether a reader of these types reads such an event of a message.';

create or replace function postroad.wants_system(event_types text[], kind text)
returns boolean
language sql
immutable parallel safe
as $$
  select coalesce('system.*' = any (event_types) or 'system.' || kind = any (event_types), false)
$$;

comment on function postroad.wants_system is 'Whether a reader of these types reads such a system event.';

create or replace function postroad.event_sizes(
  seen        txid_snapshot,
  upto        txid_snapshot,
  early       bigint[],
  first       bigint,
  last        bigint,
  event_types text[]
)
returns table (xid bigint, events bigint)
language plpgsql
stable
set enable_seqscan = off
set jit = off
set max_parallel_workers_per_gather = 0
set plan_cache_mode = force_generic_plan
as $$
begin
  return query
  select x.xid, count(*)
  from (
    select m.xid
    from postroad.messages as m
    where (m.xid between first and last or m.xid = any (early))
      and not txid_visible_in_snapshot(m.xid, seen) and txid_visible_in_snapshot(m.xid, upto)
      and postroad.wants_message(event_types, 'queued')
    union all
    select e.xid
    from postroad.delivery_events as e
    where (e.xid between first and last or e.xid = any (early))
      and not txid_visible_in_snapshot(e.xid, seen) and txid_visible_in_snapshot(e.xid, upto)
      and postroad.wants_message(event_types, e.event_type)
    union all
    select s.xid
    from postroad.system_events as s
    where (s.xid between first and last or s.xid = any (early))
      and not txid_visible_in_snapshot(s.xid, seen) and txid_visible_in_snapshot(s.xid, upto)
      and postroad.wants_system(event_types, s.kind)
  ) as x
  group by x.xid;
end;
$$;

comment on function postroad.event_sizes is
'How many events each transaction wrote, of those in early and from first to last that upto sees and seen does not.';

create or replace function postroad.has_events(
  seen        txid_snapshot,
  upto        txid_snapshot,
  event_types text[]
)
returns boolean
language plpgsql
stable
set enable_seqscan = off
set jit = off
set max_parallel_workers_per_gather = 0
set plan_cache_mode = force_generic_plan
as $$
declare
  early bigint[];
  first bigint;
  last constant bigint := txid_snapshot_xmax(upto) - 1;
begin
  select s.early, s.first into early, first from postroad.interval_start(seen, upto) as s;
  return exists (
    select
    from postroad.delivery_events as e
    where (e.xid between first and last or e.xid = any (early))
      and not txid_visible_in_snapshot(e.xid, seen) and txid_visible_in_snapshot(e.xid, upto)
      and postroad.wants_message(event_types, e.event_type)
  ) or exists (
    select
    from postroad.messages as m
    where (m.xid between first and last or m.xid = any (early))
      and not txid_visible_in_snapshot(m.xid, seen) and txid_visible_in_snapshot(m.xid, upto)
      and postroad.wants_message(event_types, 'queued')
  ) or exists (
    select
    from postroad.system_events as s
    where (s.xid between first and last or s.xid = any (early))
      and not txid_visible_in_snapshot(s.xid, seen) and txid_visible_in_snapshot(s.xid, upto)
      and postroad.wants_system(event_types, s.kind)
  );
end;
$$;

comment on function postroad.has_events is 'Whether there is an event of these types that upto sees and seen does not.';

create or replace function postroad.event_keys(
  xid         bigint,
  low         uuid,
  after       uuid,
  last        uuid,
  event_types text[],
  max_count   integer
)
returns setof uuid
language plpgsql
stable
set enable_seqscan = off
set enable_bitmapscan = off                      -- by the index of the key, in its order: a part of a large transaction costs a part
set jit = off
set max_parallel_workers_per_gather = 0
set plan_cache_mode = force_generic_plan
as $$
begin
  return query
  select k.key
  from (
    (select m.message_id as key
    from postroad.messages as m
    where m.message_id >= low and m.message_id > after and m.message_id <= last
      and m.xid = event_keys.xid
      and postroad.wants_message(event_types, 'queued')
    order by m.message_id
    limit max_count)
    union all
    (select e.message_id
    from postroad.delivery_events as e
    where e.message_id >= low and e.message_id > after and e.message_id <= last
      and e.xid = event_keys.xid
      and postroad.wants_message(event_types, e.event_type)
    order by e.message_id
    limit max_count)
    union all
    (select postroad.event_key(s.event_id)
    from postroad.system_events as s
    where s.xid = event_keys.xid
      and postroad.event_key(s.event_id) > after
      and postroad.event_key(s.event_id) <= last
      and postroad.wants_system(event_types, s.kind)
    order by 1
    limit max_count)
  ) as k
  order by k.key
  limit max_count;
end;
$$;

comment on function postroad.event_keys is 'The next keys of the events of one transaction after a key, between the lowest and the last one that it has.';

create or replace function postroad.event_bounds(
  xid bigint,
  out low  uuid,
  out last uuid
)
language plpgsql
stable
set enable_seqscan = off
set enable_indexscan = off                       -- by the index of the transaction
set jit = off
set max_parallel_workers_per_gather = 0
set plan_cache_mode = force_generic_plan
as $$
begin
  with keys as materialized (
    select m.message_id as key from postroad.messages as m where m.xid = event_bounds.xid
    union all
    select e.message_id from postroad.delivery_events as e where e.xid = event_bounds.xid
    union all
    select postroad.event_key(s.event_id) from postroad.system_events as s where s.xid = event_bounds.xid
  )
  select (select k.key from keys as k order by k.key limit 1), (select k.key from keys as k order by k.key desc limit 1)
  into low, last;
end;
$$;

comment on function postroad.event_bounds is 'The lowest and the highest key of the events of a transaction.';

create or replace function postroad.events_in(reader postroad.consumers)
returns table (
  xid         bigint,
  key         uuid,
  event_id    bigint,
  occurred_at timestamptz,
  event_type  text,
  message_id  uuid,
  subject     text,
  attempt     smallint,
  gateway     text,
  external_id text,
  reason      text,
  bounce_type text,
  detail      jsonb,
  channel     text,
  message_type text,
  source_type text,
  tenant_id   bigint
)
language plpgsql
stable
set enable_seqscan = off
set jit = off
set max_parallel_workers_per_gather = 0
set plan_cache_mode = force_generic_plan
as $$
declare
  nil constant uuid := '00000000-0000-0000-0000-000000000000';
  seen constant txid_snapshot := reader.seen;
  upto constant txid_snapshot := reader.upto;
  types constant text[] := reader.event_types;
  at_xid constant bigint := coalesce(reader.at_xid, 0);
  at_key constant uuid := coalesce(reader.at_key, nil);
  end_xid constant bigint := reader.batch_xid;
  end_key constant uuid := reader.batch_key;
  early bigint[];
  first bigint;
begin
  if at_xid = end_xid then                       -- a part of a large transaction: by its key
    return query
    select p.* from postroad.events_of(end_xid, at_key, end_key, types) as p;
    return;
  end if;
  select s.early, s.first into early, first from postroad.interval_start(seen, upto) as s;
  early := array(select u.id from unnest(early) as u (id) where u.id between at_xid and end_xid);
  first := greatest(first, at_xid);
  return query
  select m.xid, m.message_id, null::bigint, postroad.created_at(m.message_id), 'queued'::text, m.message_id, null::text,
    null::smallint, m.gateway, null::text, null::text, null::text, null::jsonb, m.channel, m.message_type, m.source_type, m.tenant_id
  from postroad.messages as m
  where (m.xid between first and end_xid or m.xid = any (early))
    and not txid_visible_in_snapshot(m.xid, seen) and txid_visible_in_snapshot(m.xid, upto)
    and (m.xid, m.message_id) > (at_xid, at_key) and (m.xid, m.message_id) <= (end_xid, end_key)
    and postroad.wants_message(types, 'queued')
  union all
  select e.xid, e.message_id, e.event_id, e.occurred_at, e.event_type, e.message_id, null,
    e.attempt, e.gateway, e.external_id, e.reason, e.bounce_type, e.detail, null, null, null, null
  from postroad.delivery_events as e
  where (e.xid between first and end_xid or e.xid = any (early))
    and not txid_visible_in_snapshot(e.xid, seen) and txid_visible_in_snapshot(e.xid, upto)
    and (e.xid, e.message_id) > (at_xid, at_key) and (e.xid, e.message_id) <= (end_xid, end_key)
    and postroad.wants_message(types, e.event_type)
  union all
  select s.xid, postroad.event_key(s.event_id), s.event_id, s.occurred_at, 'system.' || s.kind, null, s.subject,
    null, null, null, null, null, s.detail, null, null, null, null
  from postroad.system_events as s
  where (s.xid between first and end_xid or s.xid = any (early))
    and not txid_visible_in_snapshot(s.xid, seen) and txid_visible_in_snapshot(s.xid, upto)
    and (s.xid, postroad.event_key(s.event_id)) > (at_xid, at_key) and (s.xid, postroad.event_key(s.event_id)) <= (end_xid, end_key)
    and postroad.wants_system(types, s.kind);
end;
$$;

comment on function postroad.events_in is
$$The events of the batch that a reader has open, in no order: those after its position, up to the end of the batch. channel and what follows: for queued only, whose row has them.$$;

create or replace function postroad.events_of(
  xid         bigint,
  after       uuid,
  last        uuid,
  event_types text[]
)
returns table (
  its_xid     bigint,
  key         uuid,
  event_id    bigint,
  occurred_at timestamptz,
  event_type  text,
  message_id  uuid,
  subject     text,
  attempt     smallint,
  gateway     text,
  external_id text,
  reason      text,
  bounce_type text,
  detail      jsonb,
  channel     text,
  message_type text,
  source_type text,
  tenant_id   bigint
)
language plpgsql
stable
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set max_parallel_workers_per_gather = 0
set plan_cache_mode = force_generic_plan
as $$
begin
  return query
  select m.xid, m.message_id, null::bigint, postroad.created_at(m.message_id), 'queued'::text, m.message_id, null::text,
    null::smallint, m.gateway, null::text, null::text, null::text, null::jsonb, m.channel, m.message_type, m.source_type, m.tenant_id
  from postroad.messages as m
  where m.message_id > after and m.message_id <= last
    and m.xid = events_of.xid
    and postroad.wants_message(event_types, 'queued')
  union all
  select e.xid, e.message_id, e.event_id, e.occurred_at, e.event_type, e.message_id, null,
    e.attempt, e.gateway, e.external_id, e.reason, e.bounce_type, e.detail, null, null, null, null
  from postroad.delivery_events as e
  where e.message_id > after and e.message_id <= last
    and e.xid = events_of.xid
    and postroad.wants_message(event_types, e.event_type)
  union all
  select s.xid, postroad.event_key(s.event_id), s.event_id, s.occurred_at, 'system.' || s.kind, null, s.subject,
    null, null, null, null, null, s.detail, null, null, null, null
  from postroad.system_events as s
  where s.xid = events_of.xid
    and postroad.event_key(s.event_id) > after and postroad.event_key(s.event_id) <= last
    and postroad.wants_system(event_types, s.kind);
end;
$$;

comment on function postroad.events_of is 'The events of one transaction between two keys.';

create or replace function postroad.has_news(consumer text)
returns boolean
language plpgsql
volatile
as $$
declare
  reader postroad.consumers;
  present constant txid_snapshot := postroad.event_snapshot();
begin
  select c.* into reader from postroad.consumers as c where c.consumer = has_news.consumer;
  if not found then
    return false;
  elsif reader.batch_xid is not null or reader.upto is not null or txid_snapshot_xmax(present) < txid_snapshot_xmax(reader.seen)
    or postroad.has_events(reader.seen, present, reader.event_types) then
    return true;
  end if;
  if coalesce(reader.read_at, reader.registered_at) < clock_timestamp() - interval '10 seconds' then
    update postroad.consumers as c
    set seen = present, seen_at = clock_timestamp(), read_at = clock_timestamp()
    where c.consumer = reader.consumer
      and c.seen::text = reader.seen::text
      and c.batch_xid is null
      and c.upto is null;
  end if;
  return false;
end;
$$;

comment on function postroad.has_news is
$$Whether there is anything to read for a reader. A look that finds nothing writes nothing, but for the position once in 10 seconds: even the lock of a row would be a transaction, which
others would look for in turn.$$;

create or replace function postroad.open_batch(
  consumer  text,
  max_count integer,
  out reader postroad.consumers
)
language plpgsql
volatile
as $$
declare
  nil constant uuid := '00000000-0000-0000-0000-000000000000';
  all_of_it constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
  early bigint[];
  first bigint;
  last bigint;
  upper bigint;
  width bigint := greatest(max_count, 100);
  found bigint := 0;
  full_up boolean := false;
  size record;
  bounds record;
  keys uuid[];
begin
  if not postroad.has_news(consumer) then
    select c.* into reader from postroad.consumers as c where c.consumer = open_batch.consumer;
    return;
  end if;
  select c.* into reader
  from postroad.consumers as c
  where c.consumer = open_batch.consumer
  for update;                                    -- two readers of one name take turns, and get the same batch
  if reader.consumer is null or reader.batch_xid is not null then
    return;                                      -- a batch that was not acknowledged is read again, as it was
  end if;
  if reader.upto is null then
    reader.upto := postroad.event_snapshot();
    reader.upto_at := clock_timestamp();
    if txid_snapshot_xmax(reader.upto) < txid_snapshot_xmax(reader.seen) then
      raise exception 'the position of consumer % is of another server', quote_literal(consumer)
        using errcode = 'PR011', hint = 'The database was restored from a dump: unregister the consumer and register it anew.';
    end if;
  end if;
  reader.batch_id := reader.batch_id + 1;
  upper := txid_snapshot_xmax(reader.upto) - 1;

  if reader.split_last is not null then          -- the rest of a transaction that is larger than a batch
    keys := array(
      select postroad.event_keys(reader.at_xid, reader.at_key, reader.at_key, reader.split_last, reader.event_types, max_count)
    );
    if cardinality(keys) > 0 then
      reader.batch_xid := reader.at_xid;
      reader.batch_key := keys[cardinality(keys)];
    end if;
    if cardinality(keys) < max_count then
      reader.split_last := null;
    end if;
  end if;

  if reader.batch_xid is null then               -- whole transactions in their order, as many as fit, looked for in growing steps
    select s.early, s.first into early, first from postroad.interval_start(reader.seen, reader.upto) as s;
    early := array(select u.id from unnest(early) as u (id) where u.id > coalesce(reader.at_xid, 0));
    first := greatest(first, reader.at_xid + 1);
    loop
      last := least(first + width - 1, upper);
      for size in
        select t.xid, t.events
        from postroad.event_sizes(reader.seen, reader.upto, early, first, last, reader.event_types) as t
        order by t.xid
      loop
        if found = 0 and size.events > max_count then
          select b.low, b.last into bounds from postroad.event_bounds(size.xid) as b;
          keys := array(select postroad.event_keys(size.xid, bounds.low, nil, bounds.last, reader.event_types, max_count));
          reader.batch_xid := size.xid;
          reader.batch_key := keys[max_count];
          reader.split_last := bounds.last;
          full_up := true;
          exit;
        end if;
        full_up := found + size.events > max_count;
        exit when full_up;
        found := found + size.events;
        reader.batch_xid := size.xid;
        reader.batch_key := all_of_it;
      end loop;
      exit when full_up or last >= upper;
      early := '{}';
      first := last + 1;
      width := width * 2;
    end loop;
  end if;

  if reader.batch_xid is not null then
    update postroad.consumers as c
    set upto = reader.upto, upto_at = reader.upto_at, batch_id = reader.batch_id, batch_xid = reader.batch_xid, batch_key = reader.batch_key,
      split_last = reader.split_last, read_at = clock_timestamp()
    where c.consumer = open_batch.consumer;
  else                                           -- nothing more in this interval: the next one begins where it ends
    update postroad.consumers as c
    set seen = reader.upto, seen_at = reader.upto_at, upto = null, upto_at = null, at_xid = null, at_key = null, split_last = null,
      read_at = clock_timestamp()
    where c.consumer = open_batch.consumer;
    if reader.at_xid is not null then            -- it may be of long ago
      select b.* into reader from postroad.open_batch(consumer, max_count) as b;
    end if;
  end if;
end;
$$;

comment on function postroad.open_batch is
$$Opens the next batch of a reader, unless one is open: it ends after as many whole transactions as fit in max_count, or within one that is larger. Returns the reader;
its batch_xid is null when there is nothing to read. Raises PR011 when its position is of another server.$$;

create or replace function postroad.close_batch(reader postroad.consumers)
returns void
language plpgsql
volatile
as $$
begin
  update postroad.consumers as c
  set at_xid = reader.batch_xid, at_key = reader.batch_key, batch_xid = null, batch_key = null, acked_at = clock_timestamp()
  where c.consumer = reader.consumer;
end;
$$;

comment on function postroad.close_batch is 'Acknowledges the batch that a reader has open.';

create or replace function postroad.reset_own_consumers()
returns void
language plpgsql
volatile
as $$
declare
  present constant txid_snapshot := postroad.event_snapshot();
begin
  update postroad.consumers as c
  set seen = present, seen_at = clock_timestamp(), upto = null, upto_at = null, at_xid = null, at_key = null, batch_xid = null, batch_key = null, split_last = null
  where c.consumer ^@ '_'
    and txid_snapshot_xmax(c.seen) > txid_snapshot_xmax(present);
  if found then
    perform postroad.emit_system_event('positions_lost', 'restored from a dump');
  end if;
end;
$$;

comment on function postroad.reset_own_consumers is
$$After a restore from a dump into another server, whose transactions have lower numbers: those who count and who post go on with what is new, and a system event says so. Readers of
apps are told by PR011.$$;
