-- Static statements, two a priority, from one text: a dynamic one would be planned each time (0.95 against 0.38 ms a claim).
do $generate$
declare
  branches text := '';
  branch constant text := $branch$
  when {p} then
    select s.last_value into queue_floor from postroad.queue_floor_p{p} as s;
    select min(h.seq), max(h.messages) into from_seq, row_messages
    from (
      select c.seq, 1 + coalesce(cardinality(c.more_ids), 0) as messages
      from postroad.message_queue_p{p} as c
      where c.seq >= queue_floor
      order by c.seq
      limit 4                                    -- the first may be what an earlier claim left of one
    ) as h;
    if from_seq is null then
      return;
    end if;
    if row_messages = 1 then                         -- single messages: rows are taken whole
      with candidate as materialized (
        select c.ctid as place, c.rescues, c.size_kb, 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p{p} as c
        where c.seq >= from_seq
        order by c.seq
        limit claim.max_count
        for update skip locked
      ), chosen as (                             -- all of them, nearly always
        select case
            when sum(c.messages) <= claim.max_count and sum(c.messages * c.size_kb) <= claim.max_kb and max(c.rescues) = 0 then array_agg(c.place)
            else array(
              select u.place
              from (
                select c.place, c.messages,
                  row_number() over upto as nth,
                  sum(c.messages) over upto as total_messages,
                  sum(c.messages * c.size_kb) over upto as total_kb,
                  max(c.rescues) over upto as most_rescues
                from candidate as c
                window upto as (rows unbounded preceding)
              ) as u
              where u.total_messages <= claim.max_count
                and (u.total_kb <= claim.max_kb and u.most_rescues = 0 or u.nth = 1 and u.messages = 1)
            )
          end as places
        from candidate as c
      ), picked as materialized (
        delete from postroad.message_queue_p{p} as q
        where q.ctid = any ((select c.places from chosen as c)::tid[])
        returning q.*
      ), {lease};
      if taken is null then
        row_messages := 16;                          -- others took the single ones meanwhile, and what comes first is too much to be taken whole
      end if;
    end if;
    if row_messages > 1 then                         -- messages of bulk sends: of the last row, as many as are wanted
      select ceil(claim.max_count / avg(h.messages)) into row_count
      from (
        select 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p{p} as c
        where c.seq >= from_seq
        order by c.seq
        limit 16
      ) as h;
      with candidate as materialized (
        select c.ctid as place, c.rescues, c.size_kb, 1 + coalesce(cardinality(c.more_ids), 0) as messages
        from postroad.message_queue_p{p} as c
        where c.seq >= from_seq
        order by c.seq
        limit row_count + 3                      -- should the others have as many as the first ones
        for update skip locked
      ), chosen as materialized (
        select u.place, t.taken
        from (
          select c.place, c.messages, c.size_kb,
            row_number() over upto as nth,
            sum(c.messages) over upto - c.messages as messages_before,
            sum(c.messages * c.size_kb) over upto - c.messages * c.size_kb as kb_before,
            max(c.rescues) over upto as most_rescues
          from candidate as c
          window upto as (rows unbounded preceding)
        ) as u,
        lateral (
          select greatest(
            least(u.messages, claim.max_count - u.messages_before, (claim.max_kb - u.kb_before) / nullif(u.size_kb, 0)),
            case when u.nth = 1 then 1 end)::integer as taken
        ) as t
        where t.taken > 0
          and (u.nth = 1 or u.kb_before <= claim.max_kb and u.most_rescues = 0)
      ), whole as materialized (
        delete from postroad.message_queue_p{p} as q
        using chosen as c
        where q.ctid = c.place
        returning q.*, c.taken
      ), rest as (                               -- keeps its place
        insert into postroad.message_queue_p{p} (seq, message_id, priority, attempt, rescues, size_kb, more_ids)
        select w.seq, w.more_ids[w.taken], w.priority, w.attempt, w.rescues, w.size_kb, nullif(w.more_ids[w.taken + 1:], '{}')
        from whole as w
        where w.more_ids[w.taken] is not null
      ), picked as (
        select w.seq, w.message_id, w.priority, w.attempt, w.rescues, w.size_kb, nullif(w.more_ids[:w.taken - 1], '{}') as more_ids
        from whole as w
      ), {lease};
    end if;
$branch$;
  lease constant text := $lease$lease as (
        insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
        select claim.lease_id, claim.worker_id, {p}, max(p.rescues),
          case
            when count(p.more_ids) = 0 then array_agg(p.message_id)
            else array(select unnest(p.message_id || p.more_ids) from picked as p)
          end,
          case
            when count(p.more_ids) = 0 then array_agg(p.attempt)
            else array(select unnest(array_fill(p.attempt, array[1 + coalesce(cardinality(p.more_ids), 0)])) from picked as p)
          end
        from picked as p
        having count(*) > 0
      )
      select array_agg((p.seq, p.message_id, p.priority, p.attempt, p.rescues, p.size_kb, p.more_ids)::postroad.message_queue),
        sum(1 + coalesce(cardinality(p.more_ids), 0)),
        (select array_agg(f.message_id order by f.message_id) from picked as f)      -- beside the others it would put them in its order, from Postgres 16 on
      into taken, taken_count, first_ids
      from picked as p$lease$;
begin
  for p in 0..4 loop
    branches := branches || replace(replace(branch, '{lease}', lease), '{p}', p::text);
  end loop;
  execute format($function$
create or replace function postroad.claim(
  priority  smallint,
  lease_id  uuid,
  worker_id bigint,
  max_count integer,
  max_kb    integer default 8192
)
returns table (
  message_id   uuid,
  attempt      smallint,
  verdict      text,
  pause_id     bigint,
  channel      text,
  message_type text,
  recipient    text,
  content_id   uuid,
  tenant_id    bigint,
  ip_pool      text,
  gateway      text,
  subject      text,
  body         text,
  html         text,
  data         jsonb,
  options      jsonb,
  source_type  text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off                   -- it would take longer than the claim
set enable_seqscan = off        -- the statements are planned once a session, perhaps when the tables were small or never analysed
set enable_bitmapscan = off        -- nor ever the rest of the queue for its first rows
set plan_cache_mode = force_generic_plan
as $body$
declare
  queue_floor bigint;
  some_paused boolean;
  from_seq bigint;
  row_messages integer;
  row_count integer;
  taken postroad.message_queue[];
  taken_count integer;
  first_ids uuid[];
  low uuid;
  high uuid;
  found_count integer;
  now constant timestamptz := clock_timestamp();
begin
  if max_count < 1 then
    return;
  end if;
  if not exists (select from postroad.worker_sessions as w where w.worker_id = claim.worker_id) then
    raise exception 'worker %% is not registered, or was taken for dead', worker_id
      using errcode = 'PR010', hint = 'Register with a new worker_id.';
  end if;
  -- A claim need not survive a crash of the server: lost, its messages are in the queue again, and what was sent of them meanwhile is either recorded
  -- (a completion, whose commit is durable, brings the claim with it) or as unknown as after any crash. Intents, too, are durable.
  perform set_config('synchronous_commit', 'off', true);
  some_paused := exists (select from postroad.pauses);
  if some_paused and exists (
    select from postroad.pauses as x where x.scope = 'priority' and x.key = 'P' || claim.priority
  ) then
    return;
  end if;
  case priority
%s
  end case;
  if taken is null then
    return;
  end if;
  -- A statement of its own: it is set up for the days that they are of, and not for each that is kept.
  low := first_ids[1];
  high := (left(first_ids[cardinality(first_ids)]::text, 29) || 'fffffff')::uuid;          -- of any row that begins there: see queue_row_of
  return query
  select m.message_id, m.attempt,
    case
      when m.expires_at <= now then 'expired'
      when exists (
        select from postroad.suppression_list as s
        where s.address = case when m.channel = 'email' then lower(m.recipient) else m.recipient end
          and (s.channel is null or s.channel = m.channel)
          and (s.tenant_id is null or s.tenant_id = m.tenant_id)
          and (s.expires_at is null or s.expires_at > now)
      ) then 'suppressed'
      when m.pause_id is not null then 'paused'
    end,
    m.pause_id, m.channel, m.message_type, m.recipient, m.content_id, m.tenant_id, m.ip_pool, m.gateway, m.subject, m.body, m.html,
    case when m.channel not in ('email', 'sms', 'voice') then m.data end,
    case when m.options ?| '{cc,bcc}' then postroad.without_suppressed_copies(m.options, m.tenant_id) else m.options end, m.source_type
  from (
    select p.attempt, m.*,
      case when some_paused then postroad.pause_of(m.channel, m.source_type, m.source_id, m.tenant_id, m.recipient) end as pause_id
    from unnest(taken) as p,
    lateral (                                    -- looked up row by row, even where the planner believes that a day holds nothing yet
      select m.message_id, m.expires_at, m.channel, m.message_type, m.recipient, m.content_id, m.tenant_id, m.ip_pool, m.gateway, m.subject, m.body, m.html,
        m.data, m.options, m.source_type, m.source_id
      from postroad.messages as m
      where m.message_id between p.message_id and coalesce(p.more_ids[cardinality(p.more_ids)], p.message_id)
        and m.message_id between low and high
      offset 0
    ) as m
    where p.more_ids is null
      or m.message_id = p.message_id
      or array_position(p.more_ids, m.message_id) is not null
    offset 0
  ) as m;
  get diagnostics found_count = row_count;
  if found_count = taken_count then
    return;
  end if;
  -- Records that were kept when their day was dropped, and those that are gone.
  return query
  select p.message_id, p.attempt,
    case
      when k.message_id is null then 'record_gone'
      when k.expires_at <= now then 'expired'
      when postroad.suppressed_by(k.channel, k.recipient, k.tenant_id) is not null then 'suppressed'
      when x.pause_id is not null then 'paused'
    end,
    x.pause_id,
    k.channel, k.message_type, k.recipient, k.content_id, k.tenant_id, k.ip_pool, k.gateway, k.subject, k.body, k.html,
    case when k.channel not in ('email', 'sms', 'voice') then k.data end,
    case when k.options ?| '{cc,bcc}' then postroad.without_suppressed_copies(k.options, k.tenant_id) else k.options end, k.source_type
  from postroad.leases as l, unnest(l.message_ids, l.attempts) as p (message_id, attempt)
  left join lateral (select x.* from postroad.messages_kept as x where x.message_id = p.message_id offset 0) as k on true
  left join lateral (select postroad.pause_of(k.channel, k.source_type, k.source_id, k.tenant_id, k.recipient) as pause_id) as x on true
  where l.lease_id = claim.lease_id
    and not exists (select from postroad.messages as m where m.message_id = p.message_id offset 0);
end;
$body$;
$function$, branches);
end;
$generate$;

comment on function postroad.claim is
$$Takes the oldest messages of a priority out of the queue, at most max_count and max_kb KiB (but one at least), under lease_id, which the caller made.
A message that was rescued from a dead worker is claimed alone. Each row is a message with a verdict: null means send it; expired, suppressed, paused (see pause_id) and
record_gone mean that its outcome must be completed without a send. content_id names the shared content of a bulk send; see fetch_contents. data is left out for channels that carry
none (email, sms, voice).
Of a row of several messages (message_queue.more_ids) those that are not taken keep their place; behind single messages such a row is taken whole or left, so that up to 15
fewer may come than wait, and more where rows of few
messages follow rows of many.
Raises PR010 when worker_id is not registered. On any error the caller calls release(lease_id): the claim may have been committed.$$;

revoke all on function postroad.claim from public;
grant execute on function postroad.claim to postroad_worker;
