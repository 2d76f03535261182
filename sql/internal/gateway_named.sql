create or replace function postroad.gateway_named(name text)
returns text
language plpgsql
stable
as $$
begin
  return case
    when name = 'firebase' and not exists (select from postroad.channel_health as h where h.gateway = 'firebase') then 'fcm'
    else name
  end;
end;
$$;

comment on function postroad.gateway_named is 'The name under which a gateway is configured: firebase means fcm, unless a gateway is called so.';

revoke all on function postroad.gateway_named from public;
