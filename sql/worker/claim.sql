-- One static branch a priority, from one text: a dynamic statement would be planned each time (0.95 against 0.38 ms a claim).
do $generate$
declare
  branches text := '';
  branch constant text := $branch$
  when {p} then
    select s.last_value into queue_floor from postroad.queue_floor_p{p} as s;
    return query
    with candidate as materialized (
      select c.ctid as place, c.rescues, c.size_kb
      from postroad.message_queue_p{p} as c
      where c.seq >= queue_floor
      order by c.seq
      limit claim.max_count
      for update skip locked
    ), chosen as (                               -- all of them, nearly always
      select case
          when sum(c.size_kb) <= claim.max_kb and max(c.rescues) = 0 then array_agg(c.place)
          else array(
            select u.place
            from (
              select c.place,
                row_number() over upto as nth,
                sum(c.size_kb) over upto as total_kb,
                max(c.rescues) over upto as most_rescues
              from candidate as c
              window upto as (rows unbounded preceding)
            ) as u
            where u.nth = 1
              or u.total_kb <= claim.max_kb and u.most_rescues = 0
          )
        end as places
      from candidate as c
    ), picked as materialized (
      delete from postroad.message_queue_p{p} as q
      where q.ctid = any ((select c.places from chosen as c)::tid[])
      returning q.message_id, q.attempt, q.rescues
    ), lease as (
      insert into postroad.leases (lease_id, worker_id, priority, rescues, message_ids, attempts)
      select claim.lease_id, claim.worker_id, {p}, max(p.rescues), array_agg(p.message_id), array_agg(p.attempt)
      from picked as p
      having count(*) > 0
      returning 1
    )
    select p.message_id, p.attempt,
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
      m.pause_id, m.channel, m.message_type, m.recipient, m.content_id, m.tenant_id, m.ip_pool, m.gateway, m.subject, m.body, m.html, m.data, m.options, m.source_type
    from lease, picked as p,
    lateral (                                    -- looked up one by one, even where the planner believes that a day holds nothing yet
      select m.expires_at, m.channel, m.message_type, m.recipient, m.content_id, m.tenant_id, m.ip_pool, m.gateway, m.subject, m.body, m.html,
        case when m.channel not in ('email', 'sms', 'voice') then m.data end as data, m.options, m.source_type,
        case when some_paused then postroad.pause_of(m, null) end as pause_id
      from postroad.messages as m
      where m.message_id = p.message_id
      offset 0
    ) as m;
$branch$;
begin
  for p in 0..4 loop
    branches := branches || replace(branch, '{p}', p::text);
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
set enable_hashjoin = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $body$
declare
  queue_floor bigint;
  some_paused boolean;
  found_count integer;
  now constant timestamptz := clock_timestamp();
begin
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
  get diagnostics found_count = row_count;
  if found_count = max_count or not exists (
    select from postroad.leases as l where l.lease_id = claim.lease_id and cardinality(l.message_ids) > found_count
  ) then
    return;
  end if;
  -- Records that were kept when their day was dropped, and those that are gone.
  return query
  select p.message_id, p.attempt,
    case
      when k.message_id is null then 'record_gone'
      when k.expires_at <= now then 'expired'
      when postroad.suppressed_by(k.channel, k.recipient, k.tenant_id) is not null then 'suppressed'
      when postroad.pause_of(null, k) is not null then 'paused'
    end,
    postroad.pause_of(null, k),
    k.channel, k.message_type, k.recipient, k.content_id, k.tenant_id, k.ip_pool, k.gateway, k.subject, k.body, k.html,
    case when k.channel not in ('email', 'sms', 'voice') then k.data end, k.options, k.source_type
  from postroad.leases as l, unnest(l.message_ids, l.attempts) as p (message_id, attempt)
  left join postroad.messages_kept as k on k.message_id = p.message_id
  where l.lease_id = claim.lease_id
    and not exists (select from postroad.messages as m where m.message_id = p.message_id);
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
Raises PR010 when worker_id is not registered. On any error the caller calls release(lease_id): the claim may have been committed.$$;

revoke all on function postroad.claim from public;
grant execute on function postroad.claim to postroad_worker;
