from hyper2kvm.guest.linux import ini

TEXT = "# c\n[Match]\nName=ens192 ens224\r\n;Name=no\n[Network]\nAddress=192.0.2.1/24\n Address = 192.0.2.2/24\n[Network]\nDNS=a\nDNS=\nDNS=b\n"


def test_keys_repeat_and_have_their_section():
    assert [(e.section, e.key, e.value) for e in ini.entries(TEXT)][:3] == [
        ("Match", "Name", "ens192 ens224"),
        ("Network", "Address", "192.0.2.1/24"),
        ("Network", "Address", "192.0.2.2/24"),
    ]


def test_values_are_words_and_an_empty_one_clears_them():
    assert ini.values(TEXT, "Match", "Name") == ["ens192", "ens224"]
    assert ini.values(TEXT, "Network", "DNS") == ["b"]
    assert ini.first(TEXT, "Network", "DHCP") is None


def test_a_line_is_replaced_and_keeps_its_end():
    entry = next(ini.entries(TEXT))
    assert ini.with_line(TEXT, entry, "Name=x") == TEXT.replace("Name=ens192 ens224", "Name=x")
