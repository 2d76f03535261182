create or replace function postroad.tell_rate_limits(excesses jsonb)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  excess record;
  this text;
  told integer := 0;
begin
  for excess in
    select e.kind, e.name, e.gateway, e.tenant_id, e.reason, e.code, e."limit", e.window_seconds, e.retry_after_seconds,
      clock_timestamp() - make_interval(secs => coalesce(e.lasting_seconds, 0)) as first_seen_at
    from jsonb_to_recordset(excesses) as e (
      kind text, name text, gateway text, tenant_id bigint, reason text, code text,
      "limit" bigint, window_seconds double precision, retry_after_seconds double precision, lasting_seconds double precision)
    order by e.kind, e.name, e.gateway           -- locks are taken in one order
  loop
    this := excess.kind || ':' || excess.name;
    perform pg_advisory_xact_lock(1886351222, hashtext(this));       -- another node may be telling the same: its row is seen below
    if not exists (
      select from postroad.system_events as s
      where s.occurred_at > clock_timestamp() - interval '1 minute'
        and s.kind = 'rate_limit_exceeded'
        and s.subject = this
        and s.detail ->> 'gateway' is not distinct from excess.gateway
    ) then
      perform postroad.emit_system_event('rate_limit_exceeded', this, jsonb_strip_nulls(to_jsonb(excess)));
      told := told + 1;
    end if;
  end loop;
  return told;
end;
$$;

comment on function postroad.tell_rate_limits is
$$Emits system events rate_limit_exceeded, one a limit and minute, whichever node saw it. excesses: [{"kind": "api_key", "token", "gateway" or "domain", "name": its id, never
an address, "gateway" (of a domain), "tenant_id", "reason", "code", "limit" in each "window_seconds", "retry_after_seconds", "lasting_seconds": how long it has been exceeded}]. Returns how many it emitted.$$;
