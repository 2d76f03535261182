create or replace function postroad.report_throttled(throttled jsonb)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return postroad.tell_rate_limits((
    select jsonb_agg(jsonb_build_object(
      'kind', case when t.domain is null then 'gateway' else 'domain' end,
      'name', coalesce(t.domain, t.gateway),
      'gateway', t.gateway,
      'reason', t.reason,
      'code', t.code,
      'retry_after_seconds', t.retry_after_seconds,
      'lasting_seconds', t.lasting_seconds))
    from jsonb_to_recordset(throttled) as t (
      gateway text, domain text, reason text, code text, retry_after_seconds double precision, lasting_seconds double precision)
  ));
end;
$$;

comment on function postroad.report_throttled is
$$Tells that gateways throttle us: a system event rate_limit_exceeded for each gateway, or each gateway and destination domain, at most once a minute. throttled: [{"gateway", "domain"
(where it is the destination's limit), "reason", "code" (the provider's), "retry_after_seconds", "lasting_seconds"}]. Returns how many events there were.$$;

revoke all on function postroad.report_throttled from public;
grant execute on function postroad.report_throttled to postroad_worker;
