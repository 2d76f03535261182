create or replace function postroad.http_routes()
returns table (
  method    text,
  path      text,
  function  text,
  roles     text[],
  tenants   boolean,
  cost      integer,
  takes_body boolean,
  is_stream boolean
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select r.method::text, r.path::text, quote_ident(r.function), r.roles, r.tenants, r.cost, r.request is not null, r.is_stream
  from postroad.api_routes as r
  order by r.path, r.method;
end;
$$;

comment on function postroad.http_routes is 'The endpoints of the HTTP API, as a server needs them; function is quoted.';

revoke all on function postroad.http_routes from public;
grant execute on function postroad.http_routes to postroad_http;
