-- A network's ports in the order in which pages go through them: a page costs what it shows, wherever it begins.
create index ports_of_network on ports (network_id, id);
