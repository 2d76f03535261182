-- The check of an address visits as many buffers beside ten million entries as beside ten: a B-tree grows by a level with each hundredfold.

create index suppression_list_by_address on postroad.suppression_list using hash (address);
