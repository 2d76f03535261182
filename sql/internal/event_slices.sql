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
