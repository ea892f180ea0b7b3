<?php

// Users of the authorization server, with passwords of their own here.
$config = [
    'users' => [
        'exampleauth:UserPass',
        'alice:alice-saml' => ['uid' => ['alice']],
        'fred:fred-saml' => ['uid' => ['fred']],
        // Nobody knows her there.
        'mallory:mallory-saml' => ['uid' => ['mallory']],
    ],
];
