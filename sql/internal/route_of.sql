create or replace function postroad.route_of(
  m       postroad.messages,
  verdict out text,
  reason  out text
)
language plpgsql
stable
as $$
declare
  chosen constant text := postroad.gateway_named(m.gateway);
  elsewhere text;
  of_type text[];
  gateways text[];
  pool text;
begin
  select r.gateways into of_type
  from postroad.gateway_routes as r
  where r.channel = m.channel
    and r.message_type = m.message_type;
  gateways := coalesce(of_type, array(
    select h.gateway from postroad.channel_health as h where h.channel = m.channel order by h.position, h.gateway
  ));
  if exists (select from postroad.channel_health as h where h.gateway = chosen and h.channel = m.channel) then
    gateways := chosen || array_remove(gateways, chosen);
  elsif m.gateway is not null then
    elsewhere := format('%s, chosen by the caller, is no gateway of a worker for %s', m.gateway, m.channel);
  end if;
  if cardinality(gateways) = 0 then
    verdict := 'wait';
    reason := concat_ws('; ', format('no_gateway: no worker has a gateway for %s', m.channel), elsewhere);
    return;
  end if;
  if m.channel = 'email' then
    select format('IP pool %s (%s)', coalesce(m.ip_pool, p.ip_pool), case when m.ip_pool is null then 'by message type' else 'by the caller' end)
    into pool
    from (select m.message_type) as t (message_type)
    left join postroad.ip_pools as p on p.message_type = t.message_type
    where coalesce(m.ip_pool, p.ip_pool) is not null;
  end if;
  with candidate as (
    select g.gateway, g.nth, s.weight, x.key is not null as is_paused, coalesce(s.is_open, false) as is_open, s.cause, s.changed_at, s.open_until,
      (
        select p.price
        from postroad.sms_prices as p
        where m.channel = 'sms'
          and p.gateway = g.gateway
          and starts_with(ltrim(m.recipient, '+'), p.prefix)
        order by length(p.prefix) desc
        limit 1
      ) as price
    from unnest(gateways) with ordinality as g (gateway, nth)
    left join postroad.gateway_states as s on s.gateway = g.gateway
    left join postroad.pauses as x on x.scope = 'gateway' and x.key = g.gateway
  ), tried as (                     -- as the workers do it: src/worker/routing.rs
    select c.*, row_number() over (
      order by c.is_open, case when c.is_open then c.open_until end, c.gateway is distinct from chosen, coalesce(c.weight, 1) = 0, c.price,
        c.weight is null, c.nth
    ) as place
    from candidate as c
    where not c.is_paused
  ), first as (
    select t.gateway, case
        when t.is_open then 'every breaker is open: the one that is probed next'
        when t.gateway = chosen then 'chosen by the caller'
        when t.price is not null then format('the cheapest to this number: %s a part', t.price)
        when exists (select from tried as o where o.weight is not null and not o.is_open) then 'by weight'
        when of_type is not null then format('first for %s', m.message_type)
        else format('first for %s', m.channel)
      end as why
    from tried as t
    where t.place = 1
  )
  select
    case when exists (select from first) then 'pass' else 'wait' end,
    concat_ws('; ',
      (select format('%s (%s)', f.gateway, f.why) from first as f),
      elsewhere,
      'then ' || (select string_agg(t.gateway, ', ' order by t.place) from tried as t where t.place > 1 and not t.is_open),
      'paused: ' || (select string_agg(c.gateway, ', ' order by c.nth) from candidate as c where c.is_paused),
      (
        select string_agg(format('%s''s breaker is open since %s (%s)', c.gateway, c.changed_at, c.cause), '; ' order by c.nth)
        from candidate as c
        where c.is_open
      ),
      'weights: ' || (select string_agg(format('%s %s', c.gateway, c.weight), ', ' order by c.weight desc, c.gateway) from candidate as c where c.weight is not null),
      'prices: ' || (select string_agg(format('%s %s', c.gateway, c.price), ', ' order by c.price, c.gateway) from candidate as c where c.price is not null),
      pool
    )
  into verdict, reason;
end;
$$;

comment on function postroad.route_of is
$$By which gateways a message goes, and why: as far as the workers told (register_gateways, register_routing), and with what they know of gateways now. Which push gateway
takes a token only they know.$$;

revoke all on function postroad.route_of from public;
