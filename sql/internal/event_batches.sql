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
  if coalesce(reader.read_at, reader.registered_at) not between clock_timestamp() - interval '10 seconds' and clock_timestamp() then
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

create or replace function postroad.open_interval(inout reader postroad.consumers)
language plpgsql
volatile
as $$
begin
  if reader.upto is not null then
    return;
  end if;
  reader.upto := postroad.event_snapshot();
  reader.upto_at := clock_timestamp();
  if txid_snapshot_xmax(reader.upto) < txid_snapshot_xmax(reader.seen) then
    raise exception 'the position of consumer % is of another server', quote_literal(reader.consumer)
      using errcode = 'PR011', hint = 'The database was restored from a dump: unregister the consumer and register it anew.';
  end if;
end;
$$;

comment on function postroad.open_interval is
'What a reader reads next ends with what can be seen now, unless it is at an interval that is not read to its end. Raises PR011 when its position is of another server.';

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
  reader := postroad.open_interval(reader);
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
    delete from postroad.event_tallies;
    perform postroad.emit_system_event('positions_lost', 'restored from a dump');
  end if;
end;
$$;

comment on function postroad.reset_own_consumers is
$$After a restore from a dump into another server, whose transactions have lower numbers: those who count and who post go on with what is new, and a system event says so. Readers of
apps are told by PR011.$$;
