create or replace function postroad.enqueue_rows(
  batch_id      uuid,
  channel       text,
  addresses     text[],
  ids           bigint[],
  types         text[],
  locales       text[],
  data          jsonb[],
  message_type  text,
  priority      smallint,
  scheduled_for timestamptz,
  expires_at    timestamptz,
  source_type   text,
  source_id     bigint,
  tenant_id     bigint,
  ip_pool       text,
  gateway       text,
  locale        text,
  out queued     integer,
  out suppressed integer,
  out invalid    integer,
  out duplicate  integer
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off         -- the list is looked up along the index that takes many addresses at a time
set work_mem = '64MB'
set jit = off
set plan_cache_mode = force_generic_plan        -- no slice of a table is planned for anew
as $$
declare
  -- The ids of a call count up behind what all of them share, so that they lie together; what follows the count nobody can guess who knows another
  -- one of them: whoever knows the id of a message is taken for one who has it (RFC 9562, section 6.2, method 2).
  prefix constant text := left(postroad.uuid_v7()::text, 24);
  secret constant text := gen_random_uuid();
  noise bytea;
  message_ids uuid[];
  average_kb constant smallint := postroad.size_kb(pg_column_size(data)::bigint / greatest(cardinality(data), 1));
  later constant boolean := coalesce(scheduled_for > clock_timestamp(), false);
  normalized text[];
  keys text[];
  found_addresses text[];
  found_reasons text[];
  reasons text[];
  valid integer;
  distinct_valid integer;
  waiting uuid[];
begin
  if not isfinite(scheduled_for) or not isfinite(expires_at) then
    raise exception 'scheduled_for and expires_at must be finite'
      using errcode = 'PR001', hint = 'Leave them out for now and for never; begin_bulk checks them.';
  end if;
  select array_agg(n.address), array_agg(case when enqueue_rows.channel = 'email' then lower(n.address) else n.address end), count(n.address)
  into normalized, keys, valid
  from (
    select postroad.normalize_recipient(enqueue_rows.channel, u.address) collate "C" as address
    from (select unnest(addresses) as address) as u
    offset 0                                     -- normalised once
  ) as n;
  -- Not beside the arrays: from Postgres 16 on, what must be sorted for one aggregate comes to all of them in that order.
  select count(*) into distinct_valid
  from (select distinct unnest(normalized) as address) as u
  where u.address is not null;
  -- One look at the list for all of them, an index probe each, however long it is; and only what is found costs more.
  suppressed := 0;
  select array_agg(f.address), array_agg(f.reason) into found_addresses, found_reasons
  from (
    select distinct on (s.address) s.address, s.reason
    from postroad.suppression_list as s
    where s.address = any (keys)
      and (s.channel is null or s.channel = enqueue_rows.channel)
      and (s.tenant_id is null or s.tenant_id = enqueue_rows.tenant_id)
      and (s.expires_at is null or s.expires_at > clock_timestamp())
  ) as f;
  if found_addresses is not null then
    select array_agg(f.reason order by k.nth), count(f.reason) into reasons, suppressed
    from unnest(keys) with ordinality as k (address, nth)
    left join unnest(found_addresses, found_reasons) as f (address, reason) using (address);
  end if;
  invalid := cardinality(addresses) - valid;
  duplicate := valid - distinct_valid;

  if duplicate > 0 then                          -- the first of those with the same address stays
    select array_agg(case when u.nth = u.first_nth then u.address end order by u.nth),
      array_agg(case when u.nth = u.first_nth then u.reason end order by u.nth),
      count(u.reason) filter (where u.nth = u.first_nth)
    into normalized, reasons, suppressed
    from (
      select x.address, x.reason, x.nth, min(x.nth) over (partition by x.address) as first_nth
      from (select unnest(normalized) as address, unnest(reasons) as reason, generate_subscripts(normalized, 1) as nth) as x
    ) as u;
  end if;

  -- 32 bytes for each ten: a hash for each would cost twice as much as the rest of its id.
  select string_agg(sha256(convert_to(secret || x, 'UTF8')), '') into noise
  from generate_series(0, cardinality(normalized) / 10) as x;
  message_ids := array(                          -- from 0: the first five digits of the count are one row of the queue, see queue_row_of
    select (prefix || lpad(to_hex(n & 16777215), 6, '0') || encode(substr(noise, 3 * n + 1, 3), 'hex'))::uuid
    from generate_series(0, cardinality(normalized) - 1) as n
  );

  insert into postroad.messages (
    message_id, tenant_id, recipient_id, source_id, scheduled_for, expires_at, content_id, batch_id, priority,
    channel, message_type, recipient, recipient_type, source_type, ip_pool, gateway, locale, data)
  select u.message_id, enqueue_rows.tenant_id, u.id, enqueue_rows.source_id,
    enqueue_rows.scheduled_for, enqueue_rows.expires_at, enqueue_rows.batch_id, enqueue_rows.batch_id, enqueue_rows.priority,
    enqueue_rows.channel, enqueue_rows.message_type, u.address, u.type, enqueue_rows.source_type, enqueue_rows.ip_pool,
    enqueue_rows.gateway, coalesce(u.locale, enqueue_rows.locale), u.data
  from (                                         -- in the select list arrays are read as they are; in FROM they would be written out and read again
    select unnest(message_ids) as message_id, unnest(normalized) as address, unnest(ids) as id, unnest(types) as type, unnest(locales) as locale,
      unnest(enqueue_rows.data) as data
  ) as u
  where u.address is not null;

  insert into postroad.bulk_transactions (batch_id)
  values (enqueue_rows.batch_id)
  on conflict do nothing;

  if suppressed > 0 then
    insert into postroad.delivery_events (message_id, event_type, reason)
    select u.message_id, 'suppressed', u.reason
    from (select unnest(message_ids) as message_id, unnest(reasons) as reason) as u
    where u.reason is not null;
  end if;

  waiting := array(
    select case when u.address is not null and u.reason is null then u.message_id end
    from (select unnest(message_ids) as message_id, unnest(normalized) as address, unnest(reasons) as reason) as u
  );
  queued := distinct_valid - suppressed;
  if later then
    insert into postroad.scheduled (message_id, due_at, priority)
    select w.id, enqueue_rows.scheduled_for, enqueue_rows.priority
    from (select unnest(waiting) as id) as w
    where w.id is not null;
  else
    insert into postroad.message_queue (seq, message_id, priority, size_kb, more_ids)
    select w.places[least(r.nth + 15, cardinality(w.places))], r.ids[1], enqueue_rows.priority, average_kb, nullif(r.ids[2:], '{}')
    from (                                       -- in one piece: of a variable, each slice would write all of it out
      select array(select unnest(waiting)) as ids,
        array(select postroad.next_seq(enqueue_rows.priority) from generate_series(1, cardinality(waiting))) as places   -- one for each
      offset 0
    ) as w,
    lateral (
      select n as nth, array_remove(w.ids[n:n + 15], null) as ids
      from generate_series(1, cardinality(waiting), 16) as n
      offset 0
    ) as r
    where r.ids <> '{}';
  end if;

  if queued > 0 and not later then
    perform postroad.wake(priority);
  end if;
end;
$$;

comment on function postroad.enqueue_rows is
$$Enqueues the rows of a bulk send whose content begin_bulk stored: one element of each array a recipient. What enqueue_bulk and enqueue_bulk_from call, and what a program
that has its recipients in arrays may call. priority is 0 to 4. An address is sent to once a call. Returns how many were queued (or scheduled), suppressed, invalid and duplicate.$$;

revoke all on function postroad.enqueue_rows from public;
grant execute on function postroad.enqueue_rows to postroad_sender;
