-- By what the workers choose gateways, as they registered it last: `explain` says it.

create table postroad.gateway_routes (
  channel      text not null,
  message_type text not null,
  gateways     text[] not null,
  constraint gateway_routes_pkey primary key (channel, message_type)
);
comment on table postroad.gateway_routes is 'Gateways of some types of messages, first choice first, instead of those of their channel (channel_health).';

create table postroad.ip_pools (
  message_type text not null,
  ip_pool      text not null,
  constraint ip_pools_pkey primary key (message_type)
);
comment on table postroad.ip_pools is 'The IP pool of mails that name none.';

create table postroad.sms_prices (
  gateway text not null,
  prefix  text not null,
  price   double precision not null,
  constraint sms_prices_pkey primary key (gateway, prefix)
);
comment on table postroad.sms_prices is 'What a part of a text message costs by a gateway, by the digits with which the number begins.';
