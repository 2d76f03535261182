create or replace function postroad.register_routing(rules jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  lock table postroad.gateway_routes in share row exclusive mode;      -- one worker after the other
  delete from postroad.gateway_routes;
  insert into postroad.gateway_routes (channel, message_type, gateways)
  select c.key, t.key, array(select g.name from jsonb_array_elements_text(c.value) with ordinality as g (name, nth) order by g.nth)
  from jsonb_each(rules -> 'routes') as t, jsonb_each(t.value) as c;
  delete from postroad.ip_pools;
  insert into postroad.ip_pools (message_type, ip_pool)
  select p.key, p.value
  from jsonb_each_text(rules -> 'ip_pools') as p;
  delete from postroad.sms_prices;
  insert into postroad.sms_prices (gateway, prefix, price)
  select g.key, p.key, p.value::float8
  from jsonb_each(rules -> 'sms_prices') as g, jsonb_each_text(g.value) as p;
end;
$$;

comment on function postroad.register_routing is
$$Says by what a worker chooses gateways, instead of what was said before: {"routes": {type: {channel: [gateway, …]}}, "ip_pools": {type: pool}, "sms_prices": {gateway:
{digits: price of a part}}}. Where workers differ, explain says what the last one said.$$;

revoke all on function postroad.register_routing from public;
grant execute on function postroad.register_routing to postroad_worker;
