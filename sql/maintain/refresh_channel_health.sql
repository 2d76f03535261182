create or replace function postroad.refresh_channel_health()
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from postroad.gateway_minutes as g where g.minute < clock_timestamp() - interval '25 hours';
  with hour as (
    select g.gateway, g.channel, l.nth - 1 as bucket, sum(l.calls) as calls
    from postroad.gateway_minutes as g, unnest(g.latencies) with ordinality as l (calls, nth)
    where g.minute > clock_timestamp() - interval '1 hour'
    group by 1, 2, 3
  ), ranked as (
    select h.*, sum(h.calls) over (partition by h.gateway, h.channel order by h.bucket) as upto, sum(h.calls) over (partition by h.gateway, h.channel) as total
    from hour as h
  ), latency as (
    select r.gateway, r.channel, sum(r.calls * 2.0 ^ r.bucket * 0.75) / nullif(sum(r.calls), 0) as average,
      2.0 ^ min(r.bucket) filter (where r.upto >= 0.95 * r.total) as p95
    from ranked as r
    group by 1, 2
  ), day as (
    select g.gateway, g.channel,
      sum(g.sent) filter (where g.minute > clock_timestamp() - interval '1 hour') as sent_1h,
      sum(g.sent + g.failed) filter (where g.minute > clock_timestamp() - interval '1 hour') as calls_1h,
      sum(g.sent) as sent_24h, sum(g.sent + g.failed) as calls_24h,
      max(g.sent + g.failed) / 60.0 as maximum_rate,
      sum(g.sent + g.failed) filter (where g.minute = date_trunc('minute', clock_timestamp()) - interval '1 minute') / 60.0 as current_rate
    from postroad.gateway_minutes as g
    where g.minute > clock_timestamp() - interval '24 hours'
    group by 1, 2
  )
  update postroad.channel_health as h
  set success_rate_1h = d.sent_1h / nullif(d.calls_1h, 0)::real, success_rate_24h = d.sent_24h / nullif(d.calls_24h, 0)::real,
    average_latency_ms = l.average, p95_latency_ms = l.p95, current_rate = coalesce(d.current_rate, 0), maximum_rate = d.maximum_rate
  from day as d
  left join latency as l using (gateway, channel)
  where h.gateway = d.gateway and h.channel = d.channel;
end;
$$;

comment on function postroad.refresh_channel_health is
$$Brings the rates and latencies in channel_health up to date from gateway_minutes, and forgets minutes older than 25 hours. Latencies are told to a power of two.$$;

revoke all on function postroad.refresh_channel_health from public;
grant execute on function postroad.refresh_channel_health to postroad_worker;
