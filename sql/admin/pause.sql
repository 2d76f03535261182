create or replace function postroad.pause(
  scope  text,
  key    text,
  reason text
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  paused bigint;
  named constant text := case scope when 'domain' then postroad.normalize_domain(key) when 'gateway' then postroad.gateway_named(key) else key end;
  before jsonb;
begin
  if (scope = any ('{priority,channel,gateway,source,tenant,domain}')) is not true then
    raise exception 'unknown scope %', coalesce(quote_literal(scope), 'null')
      using errcode = 'PR002', hint = 'Scopes: priority, channel, gateway, source, tenant, domain.';
  end if;
  if coalesce(btrim(key), '') = '' or coalesce(btrim(reason), '') = '' then
    raise exception 'a pause needs a key and a reason'
      using errcode = 'PR001', hint = 'Such as pause(''channel'', ''sms'', ''carrier outage'').';
  end if;
  if scope = 'priority' and key <> all ('{P0,P1,P2,P3,P4}') then
    raise exception 'unknown priority %', quote_literal(key)
      using errcode = 'PR002', hint = 'Priorities: P0, P1, P2, P3, P4.';
  end if;
  if scope = 'channel' and key <> all ('{email,sms,push,voice,in_app,webhook}') then
    raise exception 'unknown channel %', quote_literal(key)
      using errcode = 'PR002', hint = 'Channels: email, sms, push, voice, in_app, webhook.';
  end if;
  -- A key that nothing can have would pause nothing, and say nothing.
  if scope = 'tenant' and not (key ~ '^(0|-?[1-9][0-9]*)$' and postroad.is_bigint(key)) then
    raise exception 'a tenant is a whole number, not %', quote_literal(key)
      using errcode = 'PR001', hint = 'The tenant_id of its messages, such as pause(''tenant'', ''7'', …).';
  end if;
  if scope = 'domain' and (key ~ '[@*[:space:]]|[.]$' or key !~ '[.]' and key <> 'localhost') then
    raise exception '% is no domain', quote_literal(key)
      using errcode = 'PR001', hint = 'What stands behind the @ of its addresses, such as pause(''domain'', ''example.org'', …).';
  end if;
  if scope = 'gateway' and not exists (select from postroad.channel_health as h where h.gateway = named)
    and exists (select from postroad.channel_health)
  then
    raise exception 'no worker has a gateway %', quote_literal(key)
      using errcode = 'PR002', hint = 'Gateways: ' || (select string_agg(distinct h.gateway, ', ' order by h.gateway) from postroad.channel_health as h) || '.';
  end if;
  select jsonb_build_object('reason', x.reason, 'paused_by', x.paused_by) into before
  from postroad.pauses as x
  where x.scope = pause.scope
    and x.key = named;
  insert into postroad.pauses as x (scope, key, reason, paused_by)
  values (scope, named, reason, coalesce(nullif(current_setting('postroad.caller', true), ''), session_user))
  on conflict on constraint pauses_are_unique do update
  set reason = excluded.reason
  returning x.pause_id into paused;
  perform postroad.audit('pause', scope || ' ' || named, before, jsonb_build_object('reason', reason));
  return paused;
end;
$$;

comment on function postroad.pause is
$$Pauses a scope: priority (P0 … P4: not claimed), channel, source (a source_type, or source_type:source_id), tenant, domain (of email addresses): their messages are parked;
gateway: not used; messages that have no other one wait. Messages already handed to a gateway are not held. Returns the id of the pause; paused again, its reason is replaced.
Raises PR001 (no key or reason, or a key that no tenant or domain can have) and PR002 (unknown scope, priority, channel or gateway).$$;

revoke all on function postroad.pause from public;
grant execute on function postroad.pause to postroad_admin;

create or replace function postroad.resume(
  scope text,
  key   text
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  resumed bigint;
  why text;
  slices bigint;
begin
  perform postroad.need_read_committed();
  if (scope = any ('{priority,channel,gateway,source,tenant,domain}')) is not true then
    raise exception 'unknown scope %', coalesce(quote_literal(scope), 'null')
      using errcode = 'PR002', hint = 'Scopes: priority, channel, gateway, source, tenant, domain.';
  end if;
  delete from postroad.pauses as x
  where x.scope = resume.scope
    and x.key = case resume.scope when 'domain' then postroad.normalize_domain(resume.key) when 'gateway' then postroad.gateway_named(resume.key) else resume.key end
  returning x.pause_id, x.reason into resumed, why;   -- waits for a completion that is parking messages; what follows sees them
  if resumed is null then
    return false;
  end if;
  perform postroad.audit('resume', scope || ' ' || key, jsonb_build_object('reason', why));
  with parked as (
    delete from postroad.scheduled as s
    where s.pause_id = resumed
    returning s.message_id, s.priority, s.attempt, s.rescues
  )
  select count(*) into slices
  from (                                         -- by the ten thousand: memory does not grow with what was parked
    select postroad.queue_again(array_agg(p.message_id order by p.nth), p.priority, array_agg(p.attempt order by p.nth), array_agg(p.rescues order by p.nth))
    from (select x.*, row_number() over (partition by x.priority order by x.message_id) as nth from parked as x) as p
    group by p.priority, p.nth / 10000
  ) as s;
  for p in 0..4 loop
    perform postroad.wake(p::smallint);
  end loop;
  return true;
end;
$$;

comment on function postroad.resume is 'Ends a pause and queues what it parked. False when there is no such pause. Raises PR002 (unknown scope), and PR001 in a transaction that is not read committed.';

revoke all on function postroad.resume from public;
grant execute on function postroad.resume to postroad_admin;
