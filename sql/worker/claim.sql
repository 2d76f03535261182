-- One static branch a priority, from one text: a dynamic statement would be planned each time (0.95 against 0.38 ms a claim).
do $generate$
declare
  branches text := '';
  branch constant text := $branch$
  when {p} then
    select s.last_value into queue_floor from postroad.queue_floor_p{p} as s;
    return query
    with candidate as (
      select c.ctid as place, c.rescues, c.size_kb
      from postroad.message_queue_p{p} as c
      where c.seq >= queue_floor
      order by c.seq
      limit claim.max_count
      for update skip locked
    ), counted as (
      select c.place,
        row_number() over upto as nth,
        sum(c.size_kb) over upto as total_kb,
        max(c.rescues) over upto as most_rescues
      from candidate as c
      window upto as (rows unbounded preceding)
    ), picked as materialized (
      delete from postroad.message_queue_p{p} as q
      where q.ctid = any (array(
        select c.place
        from counted as c
        where c.nth = 1
          or c.total_kb <= claim.max_kb and c.most_rescues = 0
      ))
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
        when coalesce(m.message_id, k.message_id) is null then 'record_gone'
        when coalesce(m.expires_at, k.expires_at) <= now then 'expired'
        when exists (
          select from postroad.suppression_list as s
          where s.address = case when m.channel = 'email' then lower(m.recipient) else coalesce(m.recipient, postroad.suppression_key(k.channel, k.recipient)) end
            and (s.channel is null or s.channel = coalesce(m.channel, k.channel))
            and (s.tenant_id is null or s.tenant_id = coalesce(m.tenant_id, k.tenant_id))
            and (s.expires_at is null or s.expires_at > now)
        ) then 'suppressed'
        when some_paused and postroad.pause_of(m, k) is not null then 'paused'
      end,
      case when some_paused then postroad.pause_of(m, k) end,
      coalesce(m.channel, k.channel), coalesce(m.message_type, k.message_type), coalesce(m.recipient, k.recipient),
      coalesce(m.content_id, k.content_id), coalesce(m.tenant_id, k.tenant_id),
      coalesce(m.ip_pool, k.ip_pool), coalesce(m.gateway, k.gateway),
      coalesce(m.subject, k.subject), coalesce(m.body, k.body), coalesce(m.html, k.html),
      coalesce(m.data, k.data), coalesce(m.options, k.options)
    from lease, picked as p
    left join postroad.messages as m on m.message_id = p.message_id
    left join postroad.messages_kept as k on m.message_id is null and k.message_id = p.message_id;
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
  options      jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off                   -- it would take longer than the claim
set enable_seqscan = off        -- the statements are planned once a session, perhaps when the tables were small or never analysed
set enable_hashjoin = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $body$
declare
  queue_floor bigint;
  some_paused boolean;
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
end;
$body$;
$function$, branches);
end;
$generate$;

comment on function postroad.claim is
$$Takes the oldest messages of a priority out of the queue, at most max_count and max_kb KiB (but one at least), under lease_id, which the caller made.
A message that was rescued from a dead worker is claimed alone. Each row is a message with a verdict: null means send it; expired, suppressed, paused (see pause_id) and
record_gone mean that its outcome must be completed without a send. content_id names the shared content of a bulk send; see fetch_contents.
Raises PR010 when worker_id is not registered. On any error the caller calls release(lease_id): the claim may have been committed.$$;

revoke all on function postroad.claim from public;
grant execute on function postroad.claim to postroad_worker;
