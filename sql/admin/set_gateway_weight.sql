create or replace function postroad.set_gateway_weight(
  gateway text,
  weight  integer
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  named constant text := postroad.gateway_named(gateway);
  before constant integer := (select s.weight from postroad.gateway_states as s where s.gateway = named);
begin
  if weight < 0 then
    raise exception 'a weight must be 0 or more, got %', weight
      using errcode = 'PR001', hint = 'Null: in configured order. 0: only when no other gateway can.';
  end if;
  if not exists (select from postroad.channel_health as h where h.gateway = named) then
    raise exception 'no worker has registered a gateway %', quote_literal(gateway)
      using errcode = 'PR002', hint = 'See: select distinct gateway from postroad.gateway_stats.';
  end if;
  insert into postroad.gateway_states as s (gateway, weight)
  values (named, weight)
  on conflict on constraint gateway_states_pkey do update
  set weight = excluded.weight;
  perform pg_notify('postroad_health', named);
  perform postroad.audit('set_gateway_weight', named, jsonb_build_object('weight', before), jsonb_build_object('weight', weight));
end;
$$;

comment on function postroad.set_gateway_weight is
$$Sets a gateway's share of its channels' traffic, on all nodes within a second: gateways with weights are chosen at random in proportion, before those without, which go in
configured order. Null takes the weight away; 0 leaves the gateway to failover. Raises PR001 (negative) and PR002 (no such gateway).$$;

revoke all on function postroad.set_gateway_weight from public;
grant execute on function postroad.set_gateway_weight to postroad_admin;
