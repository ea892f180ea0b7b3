<?php

// The parts of SimpleSAMLphp that an identity provider with a few users takes. See start.sh for STATE.
$state = getenv('STATE');

$config = [
    // Its address follows from the Host of the request.
    'baseurlpath' => '/',
    'certdir' => "$state/",
    'loggingdir' => "$state/",
    'datadir' => "$state/",
    'tempdir' => $state,
    'metadatadir' => getenv('METADATA') . '/',
    'metadata.sources' => [['type' => 'flatfile']],

    'enable.saml20-idp' => true,
    'module.enable' => ['core' => true, 'exampleauth' => true, 'saml' => true],

    // Nobody administers it.
    'auth.adminpassword' => bin2hex(random_bytes(16)),
    'admin.protectindexpage' => true,
    'secretsalt' => 'a salt that is no secret',
    'timezone' => 'UTC',

    'store.type' => 'phpsession',
    'session.phpsession.cookiename' => 'SimpleSAML',
    'session.phpsession.savepath' => $state,
    'session.cookie.secure' => false,

    'logging.handler' => 'file',
    'logging.logfile' => 'log',
    'logging.level' => SimpleSAML\Logger::WARNING,
    'showerrors' => true,
    'errorreporting' => false,

    'language.available' => ['en'],
    'language.default' => 'en',
    'theme.use' => 'default',
    'usenewui' => false,
];
