create or replace function postroad.look_through_messages(
  wanted      jsonb,
  tenant_id   bigint,
  before      uuid,
  look_count  integer,
  check_count integer,
  out message_ids uuid[],
  out looked      integer,
  out checked     integer,
  out looked_to   uuid,
  out is_end      boolean
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_sort = off
set jit = off
as $$
declare
  status constant text := wanted ->> 'status';
  is_any constant boolean := not wanted ?| '{channel,message_type,priority,source,batch_id}' and look_through_messages.tenant_id is null;
  -- Events without which a message does not have the status, and those with which it does not: see postroad.status.
  signs constant text[] := case status when 'sent' then '{sent,unknown}' when 'delivered' then '{delivered,opened,clicked}' when 'unknown' then '{unknown,deferred}'
    else array[status] end;
  counter_signs constant text[] := case status when 'sent' then '{delivered,opened,clicked}' else '{}' end;
  is_waiting constant boolean := coalesce(status in ('queued', 'scheduled', 'processing'), false);
  -- By records, where most have the status, and for a tenant: where a step ends is told to the caller, and must be at a message of its own. Else by the
  -- places where messages wait, or by the index of events.
  by_record constant boolean := status is null or status in ('sent', 'delivered') and not is_any or look_through_messages.tenant_id is not null;
  in_flight uuid[];
  seen uuid[];
  countered uuid[];
begin
  -- Each reads an index that is there for something else, from before on, look_count entries of it.
  if by_record and tenant_id is null then
    select array_agg(x.message_id),
      array_agg(x.message_id) filter (where postroad.message_fits(wanted, x.channel, x.message_type, x.priority, x.source_type, x.source_id, x.batch_id))
    into seen, message_ids
    from (
      select m.message_id, m.channel, m.message_type, m.priority, m.source_type, m.source_id, m.batch_id
      from postroad.messages as m
      where m.message_id < before
      order by m.message_id desc
      limit look_count
    ) as x;
  elsif by_record then
    select array_agg(x.message_id),
      array_agg(x.message_id) filter (where postroad.message_fits(wanted, x.channel, x.message_type, x.priority, x.source_type, x.source_id, x.batch_id))
    into seen, message_ids
    from (
      (
        select m.message_id, m.channel, m.message_type, m.priority, m.source_type, m.source_id, m.batch_id
        from postroad.messages as m
        where (m.tenant_id, m.message_id) < (look_through_messages.tenant_id, before)    -- so that no other index has this order
          and m.tenant_id >= look_through_messages.tenant_id
        order by m.tenant_id desc, m.message_id desc
        limit look_count
      )
      union all
      (
        select k.message_id, k.channel, k.message_type, k.priority, k.source_type, k.source_id, k.batch_id
        from postroad.messages_kept as k         -- few: what waits longer than messages are kept
        where is_waiting
          and k.tenant_id = look_through_messages.tenant_id
          and k.message_id < before
        order by k.message_id desc
        limit look_count
      )
      order by message_id desc
      limit look_count
    ) as x;
  elsif status = 'queued' then
    select array_agg(x.message_id) into seen
    from (                                       -- of as many rows, and of those that may have messages among theirs
      select u.message_id
      from postroad.message_queue as q, unnest(q.message_id || q.more_ids) as u (message_id)
      where q.message_id < before
        and q.message_id >= (
          select (left(min(l.message_id::text), 29) || '0000000')::uuid
          from (select q.message_id from postroad.message_queue as q where q.message_id < before order by q.message_id desc limit look_count) as l
        )
        and u.message_id < before
      order by u.message_id desc
      limit look_count
    ) as x;
  elsif status = 'scheduled' then
    select array_agg(x.message_id) into seen
    from (
      select s.message_id from postroad.scheduled as s where s.message_id < before order by s.message_id desc limit look_count
    ) as x;
  elsif status = 'processing' then               -- as much as is in flight at a time, no more
    select array_agg(x.message_id) into seen
    from (
      select distinct u.message_id
      from postroad.leases as l, unnest(l.message_ids) as u (message_id)
      where u.message_id < before
      order by u.message_id desc
      limit look_count
    ) as x;
  else
    select array_agg(x.message_id), array_agg(x.message_id) filter (where x.event_type = any (signs)), array_agg(x.message_id) filter (where x.event_type = any (counter_signs))
    into seen, message_ids, countered
    from (
      select e.message_id, e.event_type from postroad.delivery_events as e where e.message_id < before order by e.message_id desc limit look_count
    ) as x;
  end if;
  looked := coalesce(cardinality(seen), 0);
  looked_to := seen[looked];
  is_end := looked < look_count;
  checked := 0;
  if is_waiting and not by_record then
    message_ids := seen;
  elsif not by_record and not is_end then        -- some events of the last message may be beyond the entries
    message_ids := array(select u.id from unnest(message_ids) as u (id) where u.id <> looked_to);
    seen := array_remove(seen, looked_to);
    if seen = '{}' then                          -- all are its own
      message_ids := array[looked_to];
    else
      looked_to := seen[cardinality(seen)];
    end if;
  end if;
  message_ids := coalesce(message_ids, '{}');
  if countered is not null then
    message_ids := array(
      select u.id
      from unnest(message_ids) with ordinality as u (id, place)
      where u.id not in (select c.id from unnest(countered) as c (id))
      order by u.place
    );
  end if;
  if cardinality(message_ids) > check_count then
    message_ids := message_ids[:check_count];
    looked_to := message_ids[check_count];
    is_end := false;
  end if;
  if status is null or is_any and not by_record then
    return;
  end if;

  -- Of the others, each that is left costs a look at its place, its events or its record.
  checked := cardinality(message_ids);
  if by_record and is_waiting then
    if status = 'processing' then
      in_flight := postroad.in_flight_of(message_ids);
    end if;
    message_ids := array(
      select u.id
      from unnest(message_ids) with ordinality as u (id, place)
      where case status
          when 'queued' then exists (select from postroad.queue_row_of(u.id))
          when 'scheduled' then exists (select from postroad.scheduled as s where s.message_id = u.id)
          else u.id = any (in_flight)
        end
      order by u.place
    );
  elsif by_record then
    message_ids := array(
      select u.id
      from unnest(message_ids) with ordinality as u (id, place)
      cross join lateral (
        select bool_or(e.event_type = any (signs)) and not bool_or(e.event_type = any (counter_signs)) as may_have_it
        from postroad.delivery_events as e
        where e.message_id = u.id
      ) as x
      where x.may_have_it
      order by u.place
    );
  else
    message_ids := array(
      select u.id
      from unnest(message_ids) with ordinality as u (id, place)
      cross join lateral postroad.record_of(u.id) as x
      where postroad.message_fits(wanted, x.channel, x.message_type, x.priority, x.source_type, x.source_id, x.batch_id)
      order by u.place
    );
  end if;
end;
$$;

comment on function postroad.look_through_messages is
$$A step of GET /messages: ids of messages before an id, the newest first, that fit what is wanted and may have its status (an id may be there twice, and postroad.status decides),
out of look_count entries of an index, with at most check_count further looks. looked_to says how far it came (for a tenant: a message of its own), is_end that there is no more. Nothing is read as a whole, and no
index is there for it: messages by their id or by tenant, the queue, scheduled, and events by theirs.$$;

create or replace function postroad.message_fits(
  wanted       jsonb,
  channel      text,
  message_type text,
  priority     smallint,
  source_type  text,
  source_id    bigint,
  batch_id     uuid
)
returns boolean
language sql
immutable
as $$
  select (wanted -> 'channel' is null or channel = wanted ->> 'channel')
    and (wanted -> 'message_type' is null or message_type = wanted ->> 'message_type')
    and (wanted -> 'priority' is null or 'P' || priority = wanted ->> 'priority')
    and (wanted -> 'source' is null or source_type = wanted ->> 'source' or source_type || ':' || source_id = wanted ->> 'source')
    and (wanted -> 'batch_id' is null or batch_id = (wanted ->> 'batch_id')::uuid)
$$;

comment on function postroad.message_fits is 'Whether a message is one that GET /messages is asked for, but for its status.';
