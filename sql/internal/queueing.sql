create or replace function postroad.next_seq(priority smallint)
returns bigint
language sql
volatile
as $$
  select nextval((array[
    'postroad.queue_seq_p0', 'postroad.queue_seq_p1', 'postroad.queue_seq_p2', 'postroad.queue_seq_p3', 'postroad.queue_seq_p4'
  ]::regclass[])[priority + 1])
$$;

comment on function postroad.next_seq is 'The next place in the queue of a priority. Call it in an insert into message_queue only: that lock is what floors wait for.';

-- Advisory keys: the class is the ASCII of 'post'; 10 + priority is held by a pool that is awake with a free slot, 20 + priority by one that sleeps.
create or replace function postroad.wake(priority smallint)
returns void
language plpgsql
volatile
as $$
begin
  if current_setting('postroad.notify', true) = 'off' then
    return;
  end if;
  if pg_try_advisory_lock_shared(1886351220, 20 + priority) then        -- nobody sleeps; unlocked at once: held, it would make the pools' own tries fail
    perform pg_advisory_unlock_shared(1886351220, 20 + priority);
  elsif pg_try_advisory_lock_shared(1886351220, 10 + priority) then     -- somebody sleeps, and nobody is awake
    perform pg_advisory_unlock_shared(1886351220, 10 + priority);
    perform pg_notify('postroad_p' || priority, '');
  end if;
end;
$$;

comment on function postroad.wake is
$$Notifies the pools of a priority, only when one of them sleeps and none is awake: a NOTIFY makes commits go one at a time. The setting
postroad.notify = off of the session leaves it out (for callers who prepare transactions); the fallback poll of the pools then finds the message.$$;

create or replace function postroad.size_kb(bytes bigint)
returns smallint
language sql
immutable parallel safe
as $$
  select least(coalesce(bytes, 0) / 1024, 32767)::smallint
$$;

comment on function postroad.size_kb is 'Bytes in KiB, as message_queue keeps them: at most 32767.';

create or replace function postroad.record_of(message_id uuid)
returns setof postroad.messages
language sql
stable
rows 1
as $$
  select m.* from postroad.messages as m where m.message_id = record_of.message_id
  union all
  select k.* from postroad.messages_kept as k where k.message_id = record_of.message_id
  limit 1
$$;

comment on function postroad.record_of is 'The record of a message, also when its day is gone.';

create or replace function postroad.queue_row_of(message_id uuid)
returns setof postroad.message_queue
language sql
stable
rows 1
as $$
  select q.*
  from postroad.message_queue as q
  where q.message_id between (left(queue_row_of.message_id::text, 29) || '0000000')::uuid and queue_row_of.message_id
    and queue_row_of.message_id = any (q.message_id || q.more_ids)
$$;

comment on function postroad.queue_row_of is
$$The row of the queue that a message waits in, or none. Its first message is among the sixteen that have all but the last digit of the count in common: see enqueue_rows.$$;

create or replace function postroad.batch_of(message_id uuid)
returns uuid
language sql
stable
as $$
  select coalesce(
    (select m.batch_id from postroad.messages as m where m.message_id = batch_of.message_id),
    (select k.batch_id from postroad.messages_kept as k where k.message_id = batch_of.message_id))
$$;

comment on function postroad.batch_of is 'The bulk send that a message is of, or null.';

create or replace function postroad.queue_again(
  message_ids uuid[],
  priority    smallint,
  attempts    smallint[],
  rescues     smallint[]
)
returns integer
language plpgsql
volatile
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $$
declare
  ids uuid[] := message_ids;
  tried smallint[] := attempts;
  died smallint[] := rescues;
  added integer;
  queued integer := 0;
begin
  loop
    with waiting as (
      select unnest(ids) as message_id, unnest(tried) as attempt, unnest(died) as rescues, generate_subscripts(ids, 1) as nth
    ), sixteen as (                              -- what enqueue_rows gave to one row: see queue_row_of
      select array_agg(w.message_id order by w.message_id) as ids, w.attempt, w.rescues, min(w.nth) as nth
      from waiting as w
      group by left(w.message_id::text, 29), w.attempt, w.rescues, case when w.rescues > 0 then w.message_id end        -- claimed alone
    ), missing as materialized (                 -- in the queue: the index knows the first one of each row only
      select case when t.ids is null then s.ids else array(select unnest(s.ids) except select unnest(t.ids) order by 1) end as ids, s.attempt, s.rescues, s.nth
      from sixteen as s,
      lateral (
        select array_agg(u.id) as ids
        from postroad.message_queue as q, unnest(q.message_id || q.more_ids) as u (id)
        where q.priority = queue_again.priority
          and q.message_id between (left(s.ids[1]::text, 29) || '0000000')::uuid and s.ids[cardinality(s.ids)]
      ) as t
    ), queued as (
      insert into postroad.message_queue as q (seq, message_id, priority, attempt, rescues, size_kb, more_ids)
      select p.seq, s.ids[1], queue_again.priority, s.attempt, s.rescues, postroad.size_kb(coalesce(m.bytes, k.bytes)), nullif(s.ids[2:], '{}')
      from (select x.* from missing as x where x.ids <> '{}' order by x.nth) as s,
      lateral (                                  -- a place for each; the row has that of the last
        select max(n.seq) as seq
        from (select postroad.next_seq(queue_again.priority) as seq from generate_series(1, cardinality(s.ids)) offset 0) as n
      ) as p,
      lateral (
        select max(pg_column_size(m.*)) as bytes
        from postroad.messages as m
        where m.message_id between s.ids[1] and s.ids[cardinality(s.ids)]
          and m.message_id = any (s.ids)
      ) as m,
      lateral (
        select max(pg_column_size(k.*)) as bytes
        from postroad.messages_kept as k
        where m.bytes is null
          and k.message_id = any (s.ids)
      ) as k
      on conflict do nothing
      returning q.message_id, 1 + coalesce(cardinality(q.more_ids), 0) as messages
    ), left_out as (
      select u.id, s.attempt, s.rescues
      from missing as s, unnest(s.ids) as u (id)
      where s.ids[1] not in (select q.message_id from queued as q)
      order by s.nth
    )
    select (select sum(q.messages) from queued as q), array_agg(l.id), array_agg(l.attempt), array_agg(l.rescues) into added, ids, tried, died
    from left_out as l;
    queued := queued + coalesce(added, 0);
    -- Somebody queued one of them meanwhile, or the places that the sequence gives are taken, as after a restore.
    exit when ids is null;
  end loop;
  return queued;
end;
$$;

comment on function postroad.queue_again is
$$Puts messages back at the end of their queue, in the order in which they are given: all ways back lead here. Messages of a bulk send share rows as they did first, up to sixteen each. One that is there
already stays where it is. Returns how many were queued.$$;

create or replace function postroad.need_read_committed()
returns void
language plpgsql
stable
as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'this needs a transaction that is read committed, not %', current_setting('transaction_isolation')
      using errcode = 'PR001', hint = 'It must see what others commit while it waits: begin isolation level read committed.';
  end if;
end;
$$;

comment on function postroad.need_read_committed is
'Raises PR001 in a transaction that sees no more than its first snapshot: what waits for a worker''s commit and then goes by what is there would go by what was.';

create or replace function postroad.withdraw(message_id uuid)
returns boolean
language plpgsql
volatile
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $$
declare
  place postroad.message_queue;
  others uuid[];
begin
  -- A claim deletes the same row: exactly one of the two gets it. A row that a claim, or the withdrawal of another message in it, has locked is waited for; what is left
  -- of it then is another row. So is what a promotion or a resume moves into the queue meanwhile.
  loop
    select q.* into place from postroad.queue_row_of(withdraw.message_id) as q;
    if found then
      delete from postroad.message_queue as q
      where q.priority = place.priority
        and q.message_id = place.message_id
        and q.seq = place.seq
      returning array_remove(q.message_id || q.more_ids, withdraw.message_id) into others;
      continue when not found;
      insert into postroad.message_queue (seq, message_id, priority, attempt, rescues, size_kb, more_ids)
      select place.seq, others[1], place.priority, place.attempt, place.rescues, place.size_kb, nullif(others[2:], '{}')
      where others <> '{}';
      return true;
    end if;
    delete from postroad.scheduled as s where s.message_id = withdraw.message_id;
    if found then
      return true;
    end if;
    if not exists (select from postroad.queue_row_of(withdraw.message_id)) then
      return false;
    end if;
  end loop;
end;
$$;

comment on function postroad.withdraw is
'Takes a message out of the queue, or out of what waits for its time, and leaves those that share its row; false when it is in neither.';

create or replace function postroad.on_unknown(message_type text, options jsonb, content_id uuid)
returns text
language sql
stable
as $$
  select coalesce(
    options ->> 'on_unknown',
    (select c.options ->> 'on_unknown' from postroad.contents as c where c.content_id = on_unknown.content_id),
    (select k.options ->> 'on_unknown' from postroad.contents_kept as k where k.content_id = on_unknown.content_id),
    case when message_type in ('newsletter', 'campaign') then 'hold' else 'resend' end)
$$;

comment on function postroad.on_unknown is 'What follows when it cannot be known whether a message went out: resend or hold.';

create or replace function postroad.without_suppressed_copies(options jsonb, tenant_id bigint)
returns jsonb
language sql
stable
as $$
  select options || jsonb_object_agg(k.name, array_to_json(array(
      select c.address
      from jsonb_array_elements(options -> k.name) as c (address)
      where postroad.suppressed_by('email', postroad.normalize_email(regexp_replace(c.address #>> '{}', '^.*<([^<>]*)>[[:space:]]*$', E'\\1')),
        without_suppressed_copies.tenant_id) is null
    )))
  from unnest('{cc,bcc}'::text[]) as k (name)
  where options ? k.name
$$;

comment on function postroad.without_suppressed_copies is 'Options of a mail that name cc or bcc, without those that are on the suppression list now.';

create or replace function postroad.suppressed_by(channel text, recipient text, tenant_id bigint)
returns text
language plpgsql                                 -- its plan stays cached: as a function in SQL it would be planned at each call
stable
set enable_seqscan = off
set jit = off
as $$
begin
  return (
    select s.reason
    from postroad.suppression_list as s
    where s.address = postroad.suppression_key(suppressed_by.channel, suppressed_by.recipient)
      and (s.channel is null or s.channel = suppressed_by.channel)
      and (s.tenant_id is null or s.tenant_id = suppressed_by.tenant_id)
      and (s.expires_at is null or s.expires_at > clock_timestamp())
    limit 1
  );
end;
$$;

comment on function postroad.suppressed_by is 'The reason for which a normalised recipient is suppressed now, or null.';
